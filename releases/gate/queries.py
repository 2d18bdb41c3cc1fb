"""What the gate said, and what it would say now."""

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models import Count, Q

from releases.changes.document import items_of
from releases.changes.models import ChangeRequest
from releases.core.errors import Missing, Reason, Sentence
from releases.core.ownfile import BadFile
from releases.core.words import mark as _
from releases.gate import keys
from releases.gate.facts import facts_of_each
from releases.gate.models import GateDecision, Permit
from releases.gate.rules import Decision, Request, decide, without_a_key
from releases.gate.states import Intent, Verdict

PAGE_SIZE = 30
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class DecisionCard:
    """One answer of the gate, ready to print."""

    id: UUID
    verdict: str
    reasons: tuple[Reason, ...]
    passed: tuple[str, ...]
    service: str
    environment: str
    artifact_name: str
    digest: str
    intent: str
    run: Mapping[str, str]
    change_number: int | None
    content_digest: str
    asked_by: str
    decided_at: datetime
    valid_until: datetime | None
    retry_after_seconds: int | None
    permit_redeemed_at: datetime | None
    permit_redeemed_by: str
    permit: UUID | None


@dataclass(frozen=True, slots=True)
class Log:
    """A page of the gate log: answers newest first, how many of each verdict match, where the next page begins."""

    cards: tuple[DecisionCard, ...]
    counts: Mapping[str, int]
    next_before: UUID | None


@dataclass(frozen=True, slots=True)
class Outlook:
    """What the gate would say now to one item of a change."""

    service: str
    environment: str
    decision: Decision


def would_open(change: ChangeRequest, *, now: datetime) -> list[Outlook]:
    """Return what the gate would answer for each item right now; nothing is stored, no permit is given."""
    found = outlooks(change, now=now)
    return found if can_sign() else [replace(one, decision=without_a_key(one.decision)) for one in found]


def outlooks(change: ChangeRequest, *, now: datetime, intent: Intent = Intent.DEPLOY) -> list[Outlook]:
    """Return what the rules say of each item right now, whether a permit could be signed or not."""
    asked = [
        (
            Request(
                service=item.service.name,
                environment=item.environment.name,
                artifact_name=item.service.name,
                digest=item.artifact.digest,
                intent=intent,
                change_number=change.number,
            ),
            item.place,
        )
        for item in items_of(change)
    ]
    every = facts_of_each(asked, change, now=now)
    return [Outlook(one.request.service, one.request.environment, decide(one, now)) for one in every]


def shut_by(outlooks: Iterable[Outlook]) -> tuple[Reason, ...]:
    """Return every reason why the gate would not open, each once; ``()`` when it would for all of them."""
    shut = (one.decision for one in outlooks if one.decision.verdict is not Verdict.ALLOW)
    return tuple({(one.code, str(one.message)): one for decision in shut for one in decision.reasons}.values())


def can_sign() -> bool:
    """Say whether there is a key to sign permits with."""
    try:
        return keys.signing(Path(settings.GMUD_KEYS)) is not None
    except BadFile:
        return False


def log(
    *,
    verdict: str = "",
    service: str = "",
    environment: str = "",
    change_number: int | None = None,
    before: UUID | None = None,
) -> Log:
    """Return answers that match, newest first, at most :data:`PAGE_SIZE`."""
    wanted: dict[str, Any] = {"service": service, "environment": environment, "change__number": change_number}
    found = GateDecision.objects.filter(**{name: value for name, value in wanted.items() if value})
    counts = {row["verdict"]: row["n"] for row in found.values("verdict").annotate(n=Count("pk")).order_by()}
    if verdict:
        found = found.filter(verdict=verdict)
    if before:
        found = found.filter(pk__lt=before)
    rows = list(found.select_related("change", "permit").order_by("-pk")[: PAGE_SIZE + 1])
    more = rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else None
    return Log(tuple(card(row) for row in rows[:PAGE_SIZE]), counts, more)


def decision(decision_id: UUID) -> GateDecision:
    """Return one stored answer.

    :raises Missing: there is none with this id
    """
    found = GateDecision.objects.select_related("change", "permit").filter(pk=decision_id).first()
    if found is None:
        raise Missing(Sentence(_("There is no such decision.")))
    return found


def card(row: GateDecision) -> DecisionCard:
    """Return a stored answer ready to print."""
    permit = getattr(row, "permit", None)
    return DecisionCard(
        id=row.pk,
        verdict=row.verdict,
        reasons=tuple(reason_from(one) for one in row.reasons),
        passed=tuple(row.passed),
        service=row.service,
        environment=row.environment,
        artifact_name=row.artifact_name,
        digest=row.digest,
        intent=row.intent,
        run=row.run,
        change_number=row.change.number if row.change else None,
        content_digest=row.content_digest,
        asked_by=row.asked_by,
        decided_at=row.decided_at,
        valid_until=row.valid_until,
        retry_after_seconds=row.retry_after_seconds,
        permit_redeemed_at=permit.redeemed_at if permit else None,
        permit_redeemed_by=permit.redeemed_by if permit else "",
        permit=permit.pk if permit else None,
    )


@dataclass(frozen=True, slots=True)
class Taken:
    """What a permit is for, and who took it; ``pushed`` is the deployment that it was handed to by the house."""

    change_id: UUID
    service: str
    environment: str
    digest: str
    intent: str
    run: str
    is_over: bool
    pushed: UUID | None


def taken(jti: UUID, *, now: datetime) -> Taken:
    """Return what became of a permit; ``run`` is empty while nobody redeemed it.

    :raises Missing: there is no such permit
    """
    permit = Permit.objects.select_related("decision").filter(pk=jti).first()
    if permit is None:
        raise Missing(Sentence(_("There is no such permit.")))
    asked, fuse = permit.decision, permit.fuse.partition(":")[2]
    return Taken(
        change_id=permit.change_id,
        service=asked.service,
        environment=asked.environment,
        digest=asked.digest,
        intent=asked.intent,
        run=permit.redeemed_by,
        is_over=permit.revoked_at is not None or permit.expires_at <= now,
        pushed=UUID(fuse) if fuse else None,
    )


def permit_of(row: GateDecision) -> UUID | None:
    """Return the id of the permit behind an allow, or ``None``."""
    return Permit.objects.filter(decision=row).values_list("pk", flat=True).first()


def answers_since(since: datetime) -> list[tuple[str, tuple[str, ...]]]:
    """Return verdict and reason codes of every answer given since then."""
    rows = GateDecision.objects.filter(decided_at__gt=since).order_by().values_list("verdict", "reasons")
    return [(verdict, tuple(sorted({one["code"] for one in reasons}))) for verdict, reasons in rows]


def permits_by_state(now: datetime) -> dict[str, int]:
    """Return how many permits are still open, were redeemed, were revoked, or went unused."""
    unused = Q(redeemed_at=None, revoked_at=None)
    states = {
        "open": unused & Q(expires_at__gt=now),
        "redeemed": Q(redeemed_at__isnull=False),
        "revoked": Q(redeemed_at=None, revoked_at__isnull=False),
        "unused": unused & Q(expires_at__lte=now),
    }
    return Permit.objects.aggregate(**{state: Count("pk", filter=which) for state, which in states.items()})


def reason_from(data: Mapping[str, Any]) -> Reason:
    """Return a stored reason as it was."""
    until = data["until_us"]
    return Reason(
        code=data["code"],
        message=Sentence.from_json(data["message"]),
        fix=Sentence.from_json(data["fix"]) if data["fix"] else None,
        until=EPOCH + timedelta(microseconds=until) if until is not None else None,
        severity=data["severity"],
    )


def public_keys(*, now: datetime) -> Mapping[str, Ed25519PublicKey]:
    """Return the keys that permits and receipts verify with, by id: those in files, and one-time keys while they live.

    Files that cannot be used verify nothing; without the database there are the files.
    """
    found: dict[str, Ed25519PublicKey] = {}
    open_permits = Permit.objects.filter(revoked_at__isnull=True, issued_at__lte=now, expires_at__gt=now)
    once = open_permits.exclude(public_key="").values_list("kid", "public_key")
    with suppress(DatabaseError, InterfaceError):
        found |= {kid: keys.from_text(text) for kid, text in once}
    with suppress(BadFile):
        found |= keys.verifying(Path(settings.GMUD_KEYS))  # no row of a table takes the place of a file
    return found
