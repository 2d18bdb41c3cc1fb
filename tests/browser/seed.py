"""Fill an empty installation with people, places and changes in every state, through the real services."""

from datetime import timedelta

import django

PASSWORD = "browser tests know it"


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
        ("nina", a_person("Nina Prado", Role.AUDITOR, now=now)),  # guards her account: others sign in as nobody else
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
    catalog.register_customer(
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
    closed = a_change(house, at=State.REVIEWING, title="Log every refused login")
    services.close(
        change_id=closed.pk,
        actor=house.actor("manager"),
        outcome=Outcome.SUCCESSFUL_WITH_ISSUES,
        summary="Went well; the first deployment took twice as long as planned.",
        now=now,
    )
    a_change(house, at=State.SCHEDULED, title="New signing key for userservice")
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


if __name__ == "__main__":
    main()
