"""Fill an empty installation with people, places and changes in every state, through the real services."""

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import django

from tests.browser.moving import moves

if TYPE_CHECKING:
    from uuid import UUID

    from tests.factories.changes import House

PASSWORD = "browser tests know it"
KEEPS_A_PASSKEY = "nina"  # whoever signs in as her may be asked for it: only the test of passkeys does
SUBJECT = "rita-1"  # what the provider calls Rita


def main() -> None:
    """Write everything; prints nothing."""
    django.setup()
    from releases.accounts.models import User
    from releases.accounts.roles import Role
    from releases.calendar import services as calendar
    from releases.calendar.kinds import WindowKind
    from releases.catalog import services as catalog
    from releases.catalog.kinds import DependencySource
    from releases.changes import services
    from releases.changes.services import ItemDraft
    from releases.changes.states import Outcome, State
    from releases.committee import services as committee
    from releases.core import clock
    from tests.factories.accounts import SETUP, a_person, a_team, a_token
    from tests.factories.catalog import a_digest, a_service
    from tests.factories.changes import a_change, a_house
    from tests.factories.gate import ask

    now = clock.now()
    house = a_house(now)
    owner = a_person("Olga Dias", Role.OWNER, now=now)
    for user, person in (
        ("ana", house.engineer),
        ("bruno", house.engineering),
        ("helena", house.security),
        ("marta", house.manager),
        ("davi", house.on_call),
        ("olga", owner),
        (KEEPS_A_PASSKEY, a_person("Nina Prado", Role.AUDITOR, now=now)),
        ("tomas", a_person("Tomás Melo", Role.AUDITOR, now=now)),
    ):
        account = User.objects.get(person=person)
        account.username = user
        account.set_password(PASSWORD)
        account.save()
    a_team("payments", house.engineer, house.engineering)
    a_token(name="Jenkins, payments", now=now)
    committee.delegate(
        actor=house.actor("security"),
        to_person=house.engineering.pk,
        seat=Role.SEAT_SECURITY,
        starts_at=now,
        ends_at=now + timedelta(days=5),
        now=now,
    )
    frontend = a_service("frontend", title="What customers see")
    balance = a_service("balancereader", title="Balances")
    for caller, callee in ((frontend, house.service), (frontend, balance), (house.service, balance)):
        catalog.link(
            actor=SETUP, caller_id=caller.pk, callee_id=callee.pk, source=DependencySource.ENVIRONMENT, now=now
        )
    customer = catalog.register_customer(
        actor=SETUP,
        name="Varejo",
        segment="retail",
        size=412_000,
        notice_hours=0,
        service_ids=[house.service.pk, frontend.pk],
        now=now,
    )
    calendar.set_window(
        kind=WindowKind.FREEZE,
        actor=house.actor("manager"),
        environment_id=house.environment.pk,
        title="Consciência Negra",
        starts_at=now + timedelta(hours=8),
        ends_at=now + timedelta(hours=20),
        now=now,
    )
    calendar.freeze_for(
        actor=house.actor("manager"),
        customer_id=customer.pk,
        title="Their own audit",
        starts_at=now + timedelta(days=20),
        ends_at=now + timedelta(days=22),
        now=now,
    )
    closed = a_change(house, at=State.REVIEWING, title="Log every refused login")
    services.close(
        change_id=closed.pk,
        actor=house.actor("manager"),
        outcome=Outcome.SUCCESSFUL_WITH_ISSUES,
        summary="Went well; the first deployment took twice as long as planned.",
        now=now,
    )
    scheduled = a_change(house, at=State.SCHEDULED, title="New signing key for userservice")
    a_change(house, at=State.AUTHORIZING, title="Transfers that cannot be booked twice")
    a_change(
        house,
        at=State.AUTHORIZING,
        title="More database connections for balancereader",
        items=(ItemDraft("balancereader", "production", "v2.0.1", a_digest(), "v2.0.0", a_digest()),),
    )
    a_change(house, at=State.DRAFT, title="Renew the mesh certificates", plan="")
    held = a_change(house, at=State.AUTHORIZING, title="<script>alert(1)</script> & “quotes”")
    services.hold(change_id=held.pk, actor=house.actor("manager"), reason="waiting for the bank", now=now)
    ask(house, scheduled, now=now)
    ask(house, now=now)
    wires(now)
    calls(house, now)
    proposes(house, now)
    ways_in(now)
    moves(house, now)
    promises(house, now)


def proposes(house: "House", now: datetime) -> None:
    """Put an edit of the policy before the committee; Engineering has voted, Security has not."""
    from releases.committee import services as committee
    from releases.committee.seats import Decision
    from tests.factories.changes import POLICY

    normal, emergency = POLICY[:2]
    rules = [
        normal,
        {
            "when": {"environment_kind": ["production"], "type": ["normal"], "risk_at_least": "high"},
            "seats": {"seat_engineering": 1, "seat_operations": 1, "seat_security": 1},
            "fresh_sign_in_minutes": 5,
            "second_factor": True,
        },
        {**emergency, "fresh_sign_in_minutes": 30},
        {"when": {"environment_kind": ["production"], "type": ["standard"]}, "seats": {"seat_engineering": 1}},
        {"when": {"environment_kind": ["staging"]}, "seats": {"seat_engineering": 1}},
        {"when": {"environment_kind": ["development"]}, "seats": {"seat_operations": 1}},
    ]
    proposed = committee.save_policy(actor=house.actor("manager"), name="Release policy", rules=rules, now=now)
    committee.vote_on_policy(
        policy_id=proposed.pk,
        actor=house.actor("engineering"),
        decision=Decision.APPROVE,
        seen_digest=proposed.digest,
        reason="High risk deserves a third person.",
        now=now,
    )


def wires(now: datetime) -> None:
    """Wire the frontend to a job, to figures and to its traffic; no change above touches it."""
    from releases.catalog import services as catalog
    from releases.catalog.kinds import ConnectionKind, DependencySource, EnvironmentKind, Purpose
    from releases.catalog.models import Environment, Service
    from releases.notify.kinds import ChannelKind, Topic
    from tests.factories.accounts import SETUP
    from tests.factories.catalog import a_connection, a_service
    from tests.factories.notify import a_channel

    frontend, production = Service.objects.get(name="frontend"), Environment.objects.get(name="production")
    catalog.register_environment(actor=SETUP, name="staging", kind=EnvironmentKind.STAGING, rank=20, now=now)
    contacts, ledger = a_service("contacts", title="Saved recipients"), a_service("old-ledger")
    for other, source in ((contacts, DependencySource.SHARED_CONFIG), (ledger, DependencySource.MANUAL)):
        catalog.link(actor=SETUP, caller_id=frontend.pk, callee_id=other.pk, source=source, now=now)
    catalog.retire(actor=SETUP, service_id=ledger.pk, now=now)
    jenkins = a_connection("jenkins", now=now)
    figures = a_connection("figures", ConnectionKind.PROMETHEUS, origin="https://figures.example.com", now=now)
    cluster = a_connection("cluster", ConnectionKind.KUBERNETES, origin="https://cluster.example.com", now=now)
    place = {"actor": SETUP, "service_id": frontend.pk, "environment_id": production.pk, "now": now}
    job = {"job": "team/app/deploy", "parameters": {"REGION": "br"}}
    query = {"query": "rate(errors[1m])", "limit": 0.01, "figure": "errors"}
    catalog.bind(**place, purpose=Purpose.DEPLOY, connection_id=jenkins.pk, settings=job)
    catalog.bind(**place, purpose=Purpose.HEALTH, connection_id=figures.pk, settings=query)
    route = catalog.register_route(
        **place,
        connection_id=cluster.pk,
        locator={"namespace": "bank-production", "name": "frontend", "route": "primary"},
        stable="stable",
        canary="canary",
    )
    drifts(route.pk, now)
    a_channel(ChannelKind.SLACK, Topic.VERDICT_BAD, Topic.ROLLED_BACK, now=now)


def drifts(route_id: "UUID", now: datetime) -> None:
    """Let the traffic of the frontend have been shifted, unseen for a while, and taken back by what Git holds."""
    from releases.core.errors import Sentence
    from releases.traffic.facts import Seen
    from releases.traffic.owners import owner_of
    from tests.factories.drifts import WHOLE, seen, shifted

    git = owner_of({"labels": {"app.kubernetes.io/instance": "frontend"}})
    assert git is not None
    hours = [now - timedelta(hours=number) for number in (9, 6, 5, 4, 2)]
    shifted(route_id, {"stable": 90, "canary": 10}, hours[0])
    seen(route_id, Seen(why=Sentence("%(name)s sent more than 1 MiB.", {"name": "cluster"})), hours[1])
    shifted(route_id, {"stable": 50, "canary": 50}, hours[2])
    shifted(route_id, {"stable": 10, "canary": 90}, hours[3])
    taken_back = Seen(WHOLE, "47", "uid-1", git.system, git.consequence, "argocd-controller", hours[4])
    for minutes in (0, 50, 100):
        seen(route_id, taken_back, hours[4] + timedelta(minutes=minutes))


def calls(house: "House", now: datetime) -> None:
    """Tell who is to vote, page who is on call, give up a message, and end the access of somebody."""
    from releases.accounts.roles import Role
    from releases.committee import services as committee
    from releases.core.errors import Sentence
    from releases.notify import occasions
    from releases.notify import services as notices
    from releases.notify.facts import Occasion
    from releases.notify.kinds import Topic
    from releases.operations import services as operations
    from releases.operations.models import OutboxMessage
    from tests.factories.accounts import SETUP, a_person

    occasions.called_for_votes(now=now)
    reason = Sentence("The work on %(target)s waits for a person.", {"target": "frontend"})
    occasion = Occasion(Topic.NEEDS_HUMAN, "operation:1:needs_human:1", reason, (), "/live")
    notices.tell(occasion=occasion, people=[house.on_call.pk], now=now)
    message = operations.post(kind="change.voted", ref=house.service.pk, now=now)
    OutboxMessage.objects.filter(pk=message.pk).update(dead_at=now, attempts=5, last_error="tell_of_votes: no route")
    gone = a_person("Iara Melo", Role.ENGINEER, now=now)
    committee.deactivate_person(actor=SETUP, person_id=gone.pk, now=now)


def promises(house: "House", now: datetime) -> None:
    """Let a change wait for customers who were promised notice: one was told; and spend the error budget there."""
    from releases.changes.services import ItemDraft
    from releases.changes.states import State
    from tests.factories.catalog import a_budget, a_customer, a_digest, a_service
    from tests.factories.changes import a_change, tell

    statements = a_service("statements", title="Monthly statements")
    told, _waiting = (
        a_customer(statements, name=name, notice_hours=48) for name in ("Banco Parceiro", "Notários do Vale")
    )
    a_budget(statements, house.environment, left=0.0, now=now)
    item = ItemDraft("statements", "production", "v3.1.0", a_digest(), "v3.0.2", a_digest())
    change = a_change(house, at=State.AUTHORIZING, title="Statements as PDF/A", items=(item,))
    tell(house, change, told)


def ways_in(now: datetime) -> None:
    """Let somebody in by the provider; their older account had an authenticator app, and is closed."""
    from django.conf import settings

    from releases.accounts import queries
    from releases.accounts import services as accounts
    from releases.accounts.roles import Role
    from tests.factories.accounts import SETUP, a_person
    from tests.factories.factors import an_app

    rita = a_person("Rita Alves", Role.AUDITOR, username="rita", now=now)
    account = rita.accounts.get()
    who = queries.actor_for(account, signed_in_at=now)
    issuer = settings.GMUD_OIDC_ISSUER
    accounts.link_identity(actor=who, account_id=account.pk, issuer=issuer, subject=SUBJECT, now=now)
    older = accounts.add_account(actor=SETUP, person_id=rita.pk, username="rita.old", password=PASSWORD, now=now)
    an_app(older, now)
    accounts.close_account(actor=SETUP, account_id=older.pk, now=now)


if __name__ == "__main__":
    main()
