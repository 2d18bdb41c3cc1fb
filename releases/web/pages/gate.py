"""Gate log: every answer, and why it was what it was."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.http import HttpResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.catalog import queries as catalog
from releases.catalog.cards import ArtifactCard
from releases.core import clock
from releases.core.errors import Sentence, leading
from releases.core.words import mark
from releases.gate import queries
from releases.gate.facts import gather
from releases.gate.rules import Request as Question
from releases.gate.rules import decide
from releases.gate.states import Intent, Verdict
from releases.web import looks, telling
from releases.web.answer import page, part
from releases.web.looks import Chip, Fact, Line, Look, Words, held, line_of
from releases.web.request import Request, signed_in

FILTERS = ("verdict", "service", "environment", "before")


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer the gate gave."""

    id: str
    at: datetime
    is_today: bool
    look: Look
    what: str
    doing: Words
    summary: Words
    change: str
    asker: str
    run: str
    lines: tuple[Line, ...]
    facts: tuple[Fact, ...]
    curl: str


@dataclass(frozen=True, slots=True)
class GateLog:
    """The whole page; ``older`` is the address of the next part, empty at the end."""

    rows: tuple[Answered, ...]
    chips: tuple[Chip, ...]
    total: int
    older: str = ""


@dataclass(frozen=True, slots=True)
class Again:
    """The same question, asked now: nothing is stored, no permit is given."""

    look: Look
    lines: tuple[Line, ...]


def _answered(card: queries.DecisionCard, artifact: ArtifactCard | None, now: datetime) -> Answered:
    name = f"CHG-{card.change_number}" if card.change_number else ""
    run = card.run.get("id") or ""
    return Answered(
        id=str(card.id),
        at=card.decided_at,
        is_today=timezone.localdate(card.decided_at) == timezone.localdate(now),
        look=looks.VERDICTS[card.verdict],
        what=f"{card.service} {artifact.version}" if artifact else card.service,
        doing=Sentence(telling.INTENTS.get(card.intent, card.intent), {"where": card.environment}),
        summary=_summary(card),
        change=name,
        asker=card.run.get("provider") or card.asked_by,
        run=run,
        lines=_lines(card),
        facts=_facts(card, name),
        curl=_curl(card),
    )


def _summary(card: queries.DecisionCard) -> Words:
    if card.verdict == Verdict.ALLOW and not card.reasons:
        return Sentence(mark("All %(n)s rules hold"), {"n": len(card.passed)})
    first = leading(card.reasons).message
    if len(card.reasons) == 1:
        return first
    return Sentence(mark("%(n)s reasons, first: %(first)s"), {"n": len(card.reasons), "first": first})


def _lines(card: queries.DecisionCard) -> tuple[Line, ...]:
    reasons = tuple(line_of(reason) for reason in card.reasons)
    return reasons + tuple(held(telling.HELD[code]) for code in card.passed if code in telling.HELD)


def _facts(card: queries.DecisionCard, name: str) -> tuple[Fact, ...]:
    url = card.run.get("url", "")
    facts = [
        Fact(_("Asked by"), card.asked_by, note=card.run.get("id", ""), href=url if url.startswith("http") else ""),
        Fact(_("Artifact"), card.digest, code=True),
    ]
    if card.change_number:
        facts.append(Fact(_("Change"), name, href=reverse("change", args=[card.change_number])))
    if card.content_digest:
        facts.append(Fact(_("Content"), card.content_digest, code=True))
    facts.append(Fact(_("Decision"), str(card.id)))
    if card.permit_redeemed_at:
        facts.append(Fact(_("Permit used"), card.permit_redeemed_at, note=card.permit_redeemed_by))
    return tuple(facts)


def _curl(card: queries.DecisionCard) -> str:
    """Return the question as a command; it asks again and names no secret."""
    body = {
        "service": card.service,
        "environment": card.environment,
        "intent": card.intent,
        "artifact": {"name": card.artifact_name, "digest": card.digest},
        "run": dict(card.run),
        **({"change_request": f"CHG-{card.change_number}"} if card.change_number else {}),
    }
    text = json.dumps(body, ensure_ascii=False).replace("'", "'\\''")
    address = f"{settings.PUBLIC_URL}/api/v1/gate/decisions"
    return f"curl -sS {address} -H \"Authorization: Bearer $GMUD_TOKEN\" \\\n  --json '{text}'"


@require_GET
@signed_in
def gate(request: Request) -> HttpResponse:
    """List the answers that match the filters in the address."""
    require(request.actor, Right.CHANGE_READ)
    now = clock.now()
    asked = {name: request.GET[name][:120] for name in FILTERS if request.GET.get(name)}
    found = queries.log(
        verdict=asked["verdict"] if asked.get("verdict") in set(Verdict) else "",
        service=asked.get("service", ""),
        environment=asked.get("environment", ""),
        before=_uuid(asked.get("before", "")),
    )
    artifacts = catalog.artifacts_by_digest(card.digest for card in found.cards)
    log = GateLog(
        rows=tuple(_answered(card, artifacts.get(card.digest), now) for card in found.cards),
        chips=_chips(asked, found.counts),
        total=sum(found.counts.values()),
        older=_address({**asked, "before": str(found.next_before)}) if found.next_before else "",
    )
    if request.GET.get("part") == "verdicts":
        return part(request, "gate/gate.html#verdicts", {"log": log})
    return page(request, "gate/gate.html", {"log": log}, here="gate-log")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _address(asked: Mapping[str, str]) -> str:
    return f"{reverse('gate-log')}?{urlencode(asked)}" if asked else reverse("gate-log")


def _chips(asked: Mapping[str, str], counts: Mapping[str, int]) -> tuple[Chip, ...]:
    verdict, kept = asked.get("verdict", ""), {k: v for k, v in asked.items() if k not in {"verdict", "before"}}
    chips = [Chip(_("All"), _address(kept), sum(counts.values()), is_on=not verdict)]
    for name, look in looks.VERDICTS.items():
        address = _address({**kept, "verdict": name})
        chips.append(Chip(look.word, address, counts.get(name, 0), look.tone, look.sign, is_on=name == verdict))
    for name in ("service", "environment"):
        if name in kept:
            rest = {key: value for key, value in kept.items() if key != name}
            chips.append(Chip(f"{kept[name]} ✕", _address(rest), is_on=True))
    return tuple(chips)


@require_POST
@signed_in
def ask_again(request: Request, decision_id: UUID) -> HttpResponse:
    """Show what the gate would say to the same question now."""
    require(request.actor, Right.CHANGE_READ)
    now, card = clock.now(), queries.card(queries.decision(decision_id))
    question = Question(
        service=card.service,
        environment=card.environment,
        artifact_name=card.artifact_name,
        digest=card.digest,
        intent=Intent(card.intent),
        change_number=card.change_number,
    )
    answer = decide(gather(question, now=now)[0], now)
    lines = tuple(line_of(reason) for reason in answer.reasons)
    lines += tuple(held(telling.HELD[code]) for code in answer.passed if code in telling.HELD)
    return part(request, "gate/again.html", {"now": Again(looks.VERDICTS[answer.verdict], lines)})


urlpatterns = [
    path("gate", gate, name="gate-log"),
    path("gate/<uuid:decision_id>/again", ask_again, name="ask-again"),
]
