"""Tell the demo's story through the services: nothing here writes a table, and the same start gives the same story."""

import hashlib
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from gmud.demo import past, story
from releases.accounts import queries as accounts_queries
from releases.accounts import services as accounts
from releases.accounts.models import User
from releases.accounts.rights import Right
from releases.audit.actor import Actor, system
from releases.calendar import services as calendar
from releases.calendar.kinds import WindowKind
from releases.catalog import queries as catalog_queries
from releases.catalog import services as catalog
from releases.catalog.imports import kubernetes
from releases.catalog.kinds import ConnectionKind, EnvironmentKind, Place, Purpose
from releases.changes import services as changes
from releases.changes.models import ChangeRequest
from releases.changes.services import ChangeDraft, ItemDraft
from releases.changes.states import ChangeType, State
from releases.committee import queries as committee_queries
from releases.committee import services as committee
from releases.committee.seats import Decision

MANIFESTS = Path(__file__).parent / "data" / "bank-of-anthos" / "kubernetes-manifests"
SETUP = system("demo")
ENVIRONMENTS = (("staging", EnvironmentKind.STAGING, 20), ("production", EnvironmentKind.PRODUCTION, 30))
JENKINS_ACCOUNT = "gmud"
JENKINS_TOKEN = "11" + hashlib.md5(b"gmud sandbox", usedforsecurity=False).hexdigest()
# Account and secret at each of the stand-ins: their own, they guard nothing.
ENTRANCES: Mapping[str, tuple[str, str | None]] = {
    "jenkins": (JENKINS_ACCOUNT, JENKINS_TOKEN),
    "kubernetes": ("", "sandbox-full"),
    "prometheus": ("", None),
    "spinnaker": ("", "spk_" + JENKINS_TOKEN[2:]),
    "kong": ("", None),
    "apisix": ("", "sandbox-admin-key"),
}
ERROR_RATE = (
    'sum(rate(istio_requests_total{destination_service_name="$service",'
    'destination_service_namespace="bank-$environment",destination_version="$version",response_code=~"5.."}[1m]))'
    ' / sum(rate(istio_requests_total{destination_service_name="$service",'
    'destination_service_namespace="bank-$environment",destination_version="$version"}[1m]))'
)
ERROR_LIMIT = 0.05
SPLIT = (
    'sum(rate(istio_requests_total{destination_service_name="$service",'
    'destination_service_namespace="bank-$environment",destination_version="$version"}[1m]))'
    ' / sum(rate(istio_requests_total{destination_service_name="$service",'
    'destination_service_namespace="bank-$environment"}[1m]))'
)
# Of what a month allows, one request in a hundred, the share that is left.
ERROR_BUDGET = (
    '1 - (sum(rate(istio_requests_total{destination_service_name="$service",'
    'destination_service_namespace="bank-$environment",response_code=~"5.."}[30d]))'
    ' / sum(rate(istio_requests_total{destination_service_name="$service",'
    'destination_service_namespace="bank-$environment"}[30d]))) / 0.01'
)
TOKEN_DAYS, LONGEST_TOKEN_DAYS = 60, 90
FOUNDED_DAYS = 85


class Telling:
    """The demo while it is being told: who is who, what is where."""

    def __init__(self, *, now: datetime, outside: Mapping[str, str]) -> None:
        """``outside`` maps the name of each stand-in to its address."""
        self.now = now
        self.founded = now - timedelta(days=FOUNDED_DAYS)
        self.outside = outside
        self.passwords: dict[str, str] = {}
        self.tokens: dict[str, str] = {}
        self.machines: dict[str, UUID] = {}
        self.services: dict[str, UUID] = {}
        self.customers: dict[str, UUID] = {}
        self.environments: dict[str, UUID] = {}
        self.routes: list[UUID] = []
        self.numbers: dict[str, int] = {}

    def tell(self) -> None:
        """Tell all of it."""
        self._people()
        self._catalog()
        self._wires()
        committee.save_policy(actor=SETUP, name="Release policy", rules=story.POLICY, now=self.founded)
        self._machines()
        self._found()
        past.tell(self)
        self._readings(self.now)
        self._renew()
        self._now()

    def actor(self, username: str, *, at: datetime) -> Actor:
        """Return a person of the demo, signed in just then."""
        user = User.objects.select_related("person").get(username=username)
        return accounts_queries.actor_for(user, session="demo", signed_in_at=at, methods=("password",))

    def digest(self, service: str, version: str) -> str:
        """Return the digest of a version: invented, but always the same."""
        return "sha256:" + hashlib.sha256(f"{service}:{version}".encode()).hexdigest()

    def _people(self) -> None:
        signing_in = [story.OWNER, *(one.username for one in story.PEOPLE if one.signs_in)]
        self.passwords = {username: secrets.token_urlsafe(12) for username in signing_in}
        accounts.bootstrap(
            username=story.OWNER, name="Olívia Braga", email="", password=self.passwords[story.OWNER], now=self.founded
        )
        people: dict[str, UUID] = {}
        for one in story.PEOPLE:
            person = accounts.register_person(
                actor=SETUP, name=one.name, email=f"{one.username}@example.com", now=self.founded
            )
            accounts.add_account(
                actor=SETUP,
                person_id=person.pk,
                username=one.username,
                password=self.passwords.get(one.username),
                now=self.founded,
            )
            for role in one.roles:
                accounts.grant(actor=SETUP, person_id=person.pk, role=role, now=self.founded)
            people[one.username] = person.pk
        for name, title in (("frontend", "Web"), ("accounts", "Accounts"), ("ledger", "Ledger")):
            members = [people[one.username] for one in story.PEOPLE if name in one.teams]
            accounts.register_team(actor=SETUP, name=name, title=title, members=members, now=self.founded)

    def _catalog(self) -> None:
        for name, kind, rank in ENVIRONMENTS:
            row = catalog.register_environment(actor=SETUP, name=name, kind=kind, rank=rank, now=self.founded)
            self.environments[name] = row.pk
        found = replace(kubernetes.read(MANIFESTS), environments=())
        kubernetes.take_over(found=found, actor=SETUP, now=self.founded)
        for name, about in story.SERVICES.items():
            service = catalog_queries.service_named(name)
            self.services[name] = service.id
            catalog.describe_service(
                actor=SETUP,
                service_id=service.id,
                title=about.title,
                criticality=about.criticality,
                data_classes=about.data,
                now=self.founded,
            )
        for name, segment, size, hours, served in story.CUSTOMERS:
            self.customers[name] = catalog.register_customer(
                actor=SETUP,
                name=name,
                segment=segment,
                size=size,
                notice_hours=hours,
                service_ids=[self.services[one] for one in served],
                now=self.founded,
            ).pk

    def _wires(self) -> None:
        connections = {
            name: catalog.connect(
                actor=SETUP,
                name=name,
                kind=ConnectionKind(name),
                origin=self.outside[name],
                account=account,
                secret=secret,
                now=self.founded,
            ).pk
            for name, (account, secret) in ENTRANCES.items()
        }
        self.prometheus = connections["prometheus"]
        for service, service_id in self.services.items():
            for environment, environment_id in self.environments.items():
                place = (service_id, environment_id)
                system, deploy = story.delivery_of(service, environment)
                health = {"query": ERROR_RATE, "limit": ERROR_LIMIT, "split": SPLIT}
                self._bind(place, Purpose.DEPLOY, connections[system], deploy)
                self._bind(place, Purpose.HEALTH, connections["prometheus"], health)
                split = story.SPLITS[story.SERVICES[service].plane].of(service, environment)
                route = catalog.register_route(
                    actor=SETUP,
                    service_id=service_id,
                    environment_id=environment_id,
                    connection_id=connections[split.connection],
                    locator=split.locator,
                    stable=split.stable,
                    canary=split.canary,
                    now=self.founded,
                )
                self.routes.append(route.pk)
        self._readings(self.founded)

    def _readings(self, at: datetime) -> None:
        """Look at every route: all its traffic is on the stable side."""
        for route_id in self.routes:
            weights = {"stable": 100, "canary": 0}
            catalog.note_reading(route_id=route_id, weights=weights, version="", healthy=True, now=at)

    def _budget(self, at: datetime) -> None:
        """Look at the error budget of one service: what usually fails of it is within what a month allows."""
        place = (self.services[story.BUDGETED], self.environments["production"])
        self._bind(place, Purpose.BUDGET, self.prometheus, {"query": ERROR_BUDGET})
        budget = catalog_queries.budgets_in([place])[place]
        catalog.note_budget(binding=budget.binding, left=story.BUDGET_LEFT, now=at)

    def _bind(self, place: Place, purpose: Purpose, connection_id: UUID, settings: Mapping[str, object]) -> None:
        service_id, environment_id = place
        catalog.bind(
            actor=SETUP,
            service_id=service_id,
            environment_id=environment_id,
            purpose=purpose,
            connection_id=connection_id,
            settings=settings,
            now=self.founded,
        )

    def _machines(self) -> None:
        owner = User.objects.get(username="marta").person_id
        for name, scopes in (
            ("jenkins", (Right.GATE_ASK, Right.PERMIT_REDEEM)),
            ("spinnaker", (Right.GATE_ASK, Right.PERMIT_REDEEM)),
            ("ci", (Right.GATE_ASK, Right.PERMIT_REDEEM, Right.CHANGE_READ, Right.CHANGE_FILE, Right.ROLLBACK_BEGIN)),
        ):
            client, self.tokens[name] = accounts.issue_token(
                actor=SETUP,
                name=name,
                scopes=scopes,
                owner_id=owner,
                expires_at=self.founded + timedelta(days=LONGEST_TOKEN_DAYS),
                now=self.founded,
            )
            self.machines[name] = client.pk

    def _renew(self) -> None:
        """Give the machines new tokens: theirs are about to end."""
        for name, client_id in self.machines.items():
            ends = self.now + timedelta(days=TOKEN_DAYS)
            _client, self.tokens[name] = accounts.rotate_token(
                actor=SETUP, client_id=client_id, expires_at=ends, now=self.now
            )

    def _found(self) -> None:
        """Write down what ran before the first change: no change brought it."""
        for service, version in story.found().items():
            artifact = catalog.register_artifact(
                actor=SETUP,
                service_id=self.services[service],
                version=version,
                digest=self.digest(service, version),
                now=self.founded,
            )
            for environment_id in self.environments.values():
                catalog.note_running(
                    actor=SETUP,
                    service_id=self.services[service],
                    environment_id=environment_id,
                    artifact_id=artifact.pk,
                    change_number=None,
                    now=self.founded,
                )

    def _now(self) -> None:
        """Tell what is open when the visitor comes: some that may go, one that waits for votes, a draft, freezes."""
        at = self.now
        self._budget(at)
        told = {"bad": self._ready(story.BAD_ONE), "good": self._ready(story.GOOD_ONE)}
        told["waiting"] = self._open(story.WAITING_ONE)
        changes.draft(
            actor=self.actor("ana", at=at),
            fields=ChangeDraft(title="Statements as signed PDF", why="Notaries accept nothing else."),
            now=at,
        )
        told |= {plane: self._ready(one) for plane, one in story.AT_OTHERS.items()}
        self.numbers = {name: change.number for name, change in told.items()}
        calendar.set_window(
            kind=WindowKind.FREEZE,
            actor=SETUP,
            environment_id=self.environments["production"],
            title="Year-end closing",
            starts_at=at + timedelta(days=30),
            ends_at=at + timedelta(days=37),
            now=at,
        )
        title, customer, days = story.ASKED_FOR
        calendar.freeze_for(
            actor=SETUP,
            title=title,
            customer_id=self.customers[customer],
            starts_at=at + timedelta(days=days),
            ends_at=at + timedelta(days=days + 1),
            now=at,
        )

    def _ready(self, one: story.Ready) -> ChangeRequest:
        """File a change that may go at any time, and have it approved."""
        change = self._open(one)
        self.authorize(change, at=self.now)
        return change

    def _open(self, one: story.Ready) -> ChangeRequest:
        return self.file(
            ItemDraft(one.service, "production", one.version, self.digest(one.service, one.version)),
            title=one.title,
            why=one.why,
            starts_at=self.now + timedelta(seconds=1),
            ends_at=self.now + timedelta(days=6),
            at=self.now,
        )

    def file(
        self,
        item: ItemDraft,
        *,
        title: str,
        why: str,
        starts_at: datetime,
        ends_at: datetime,
        at: datetime,
        by: str = "ana",
        change_type: ChangeType = ChangeType.NORMAL,
    ) -> ChangeRequest:
        """File and submit a change, as Ana when nobody else is named."""
        engineer = self.actor(by, at=at)
        change = changes.draft(
            actor=engineer,
            fields=ChangeDraft(
                title=title,
                why=why,
                type=change_type,
                plan=f"1. Deploy {item.version} to the idle side.\n2. Shift 10 %, judge, then all.\n3. Watch.",
                items=(item,),
                tests_passed=214,
                tests_failed=0,
                tests_url=f"https://ci.example.com/{item.service}/{item.version}/tests",
                starts_at=starts_at,
                ends_at=ends_at,
            ),
            now=at,
        )
        return changes.submit(change_id=change.pk, actor=engineer, now=at)

    def authorize(self, change: ChangeRequest, *, at: datetime) -> None:
        """Have the committee approve, one after the other, until it is settled."""
        for username in VOTERS:
            change.refresh_from_db()
            if change.state != State.AUTHORIZING or change.round is None:
                return
            actor = self.actor(username, at=at)
            if committee_queries.may_vote(change.round, UUID(actor.id), at) is not None:
                continue
            changes.vote(
                change_id=change.pk,
                actor=actor,
                decision=Decision.APPROVE,
                seen_digest=change.content_digest,
                now=at,
            )


VOTERS = ("bruno", "caio", "lia", "rui", "helena")


def tell(*, now: datetime, folder: Path, environment: Mapping[str, str] = os.environ) -> None:
    """Tell the story and leave log-ins and tokens in ``folder`` (mode 0600), for whoever started the demo."""
    outside = {
        name: environment.get(f"GMUD_SANDBOX_{name.upper()}", f"http://127.0.0.1:{port}")
        for port, name in enumerate(ENTRANCES, start=8001)
    }
    telling = Telling(now=now, outside=outside)
    telling.tell()
    for name in ("jenkins", "spinnaker", "ci"):
        _leave(folder / f"{name}.token", telling.tokens[name])
    known = {
        "accounts": log_ins(telling.passwords),
        "try": [text.format(**telling.numbers) for text in story.TO_TRY],
    }
    _leave(folder / "demo.json", json.dumps(known, ensure_ascii=False, indent=1))


def log_ins(passwords: Mapping[str, str]) -> Sequence[dict[str, Any]]:
    """Return the log-ins that are printed."""
    roles = {one.username: one.signs_in for one in story.PEOPLE} | {story.OWNER: "owner, sets things up"}
    return [
        {"role": roles[username], "username": username, "password": passwords[username]}
        for username in sorted(passwords, key=list(roles).index)
    ]


def _leave(place: Path, text: str) -> None:
    handle = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text + "\n")
