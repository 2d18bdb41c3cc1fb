"""Audit: what happened, who did it, and whether the record is as it was written."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.http import HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path, reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_POST

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.audit import queries, services
from releases.audit.export import Form
from releases.audit.kinds import Kind
from releases.audit.queries import Entry, Sealing
from releases.audit.report import Report, Verdict
from releases.audit.search import Asked, Cursor
from releases.changes import queries as changes
from releases.core import clock
from releases.core.errors import Invalid, Missing, Sentence
from releases.core.words import mark, plural
from releases.web.answer import page
from releases.web.looks import Fact, Line, Look, Words
from releases.web.names import actor as called
from releases.web.pages.settings.history import told_of
from releases.web.request import Request, signed_in
from releases.web.tags import number

TEMPLATE = "audit/audit.html"
FILTERS = ("subject", "who", "kind")
NUMBER = re.compile(r"(?:CHG-)?(\d{1,9})", re.IGNORECASE)
SUBJECTS = tuple(sorted({kind.value.partition(".")[0] for kind in Kind}))
SHOWN = 30
LONGEST_KEY = 20
LATE_SECONDS = 60
CONTENT = {Form.CSV: "text/csv; charset=utf-8", Form.JSON_LINES: "application/jsonl"}
SEALED = plural(
    "%(n)s event is sealed, and the witness agrees", "%(n)s events are sealed, and the witness agrees", by="n"
)
NOT_WITNESSED = mark("The witness has not seen the newest events yet")
CONTRADICTED = mark("The record contradicts its witness")
VERDICTS: Mapping[Verdict, tuple[Look, str]] = {
    Verdict.OK: (Look("go", "✓", _("verified")), mark("Every row is as it was written, and the witness agrees.")),
    Verdict.FINDINGS: (Look("stop", "✕", _("not as written")), mark("These rows are not as they were written.")),
    Verdict.UNWITNESSED: (
        Look("wait", "◔", _("unwitnessed")),
        mark("Every row is as it was written, but nobody outside the database can say so yet."),
    ),
}


@dataclass(frozen=True, slots=True)
class Event:
    """One event ready to print."""

    at: datetime
    text: Words
    said: str
    who: Words
    kind: str
    stream: str
    subject: str
    href: str


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification said."""

    look: Look
    text: Words
    counts: Words
    lines: tuple[Line, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Audit:
    """The whole page; ``older`` is the address of the next part, empty at the end."""

    headline: Words
    seal: Look
    facts: tuple[Fact, ...]
    events: tuple[Event, ...]
    asked: Mapping[str, str]
    subjects: Sequence[str | Promise]
    older: str
    verified: Verified | None = None


@require_GET
@signed_in
def audit(request: Request) -> HttpResponse:
    """Show the newest events that match the filters in the address."""
    require(request.actor, Right.AUDIT_READ)
    before = Cursor.read(request.GET.get("before", ""))
    return page(request, TEMPLATE, {"audit": _audit(_filters(request.GET), before)}, here="audit")


@require_POST
@signed_in
def verify(request: Request) -> HttpResponse:
    """Look at the whole record and show what was found."""
    require(request.actor, Right.AUDIT_READ)
    report = services.verify_for(actor=request.actor)
    shown = _audit(_filters(request.POST), None, verified=_verified(report))
    return page(request, TEMPLATE, {"audit": shown}, here="audit")


@require_POST
@signed_in
def export(request: Request) -> HttpResponseBase:
    """Hand the events that match out as a file."""
    require(request.actor, Right.AUDIT_READ)
    try:
        form = Form(request.POST.get("form", ""))
    except ValueError:
        sentence = Sentence(mark("Choose jsonl or csv."))
        raise Invalid(sentence, fields={"form": [sentence]}) from None
    now = clock.now()
    lines = services.export(actor=request.actor, asked=_asked(_filters(request.POST)), form=form, now=now)
    answer = StreamingHttpResponse(lines, content_type=CONTENT[form])
    answer["Content-Disposition"] = f'attachment; filename="gmud-audit-{now:%Y%m%dT%H%M%SZ}.{form}"'
    return answer


def _filters(given: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name in FILTERS if (value := given.get(name, "").strip()[:200])}


def _asked(filters: Mapping[str, str]) -> Asked:
    """Return the filters as the record knows them: a change by its number, people and machines by their names."""
    subject, who = filters.get("subject", ""), filters.get("who", "")
    if found := NUMBER.fullmatch(subject):
        try:
            subject = changes.by_number(int(found[1])).stream
        except Missing:
            subject = f"change:{subject}"  # nothing has this stream, and nothing is what shows
    return Asked(subject, filters.get("kind", ""), accounts.doers_named(who) if who else None)


def _audit(filters: dict[str, str], before: Cursor | None, *, verified: Verified | None = None) -> Audit:
    entries, further = queries.found(_asked(filters), before)
    sealing = queries.sealing()
    older = f"{reverse('audit')}?{urlencode({**filters, 'before': str(further)})}" if further else ""
    headline, seal = _standing(sealing)
    return Audit(
        headline=headline,
        seal=seal,
        facts=_facts(sealing),
        events=_events(entries, filters),
        asked=filters,
        subjects=SUBJECTS,
        older=older,
        verified=verified,
    )


def _standing(sealing: Sealing) -> tuple[Words, Look]:
    """Return the truth about the record in one sentence, and how it looks."""
    if not sealing.agrees:
        return Sentence(CONTRADICTED), Look("stop", "✕", _("contradicted"))
    if max(sealing.unwitnessed_seconds, sealing.oldest_waits_seconds) > LATE_SECONDS or not sealing.witnessed_size:
        return Sentence(NOT_WITNESSED), Look("wait", "◔", _("behind"))
    return Sentence(SEALED, {"n": sealing.sealed_size}), Look("go", "✓", _("witnessed"))


def _facts(sealing: Sealing) -> tuple[Fact, ...]:
    return (
        Fact(_("Sealed"), number(sealing.sealed_size)),
        Fact(_("Seen by the witness"), number(sealing.witnessed_size)),
        Fact(_("Waiting for the seal"), number(sealing.waiting)),
    )


def _events(entries: Sequence[Entry], filters: Mapping[str, str]) -> tuple[Event, ...]:
    told, names = told_of(entries), changes.names_of_streams(entry.stream for entry in entries)
    return tuple(
        Event(
            at=entry.at,
            text=line.text,
            said=line.said,
            who=called(entry.actor_name),
            kind=entry.kind,
            stream=entry.stream,
            subject=names.get(entry.stream) or _short(entry.stream),
            href=f"{reverse('audit')}?{urlencode({**filters, 'subject': entry.stream})}",
        )
        for entry, line in zip(entries, told, strict=True)
    )


def _short(stream: str) -> str:
    """Return a stream as it fits into a line: of an id its end, which tells ids apart."""
    subject, _colon, key = stream.partition(":")
    return f"{subject} …{key[-6:]}" if len(key) > LONGEST_KEY else stream


def _verified(report: Report) -> Verified:
    look, text = VERDICTS[report.verdict]
    counts = {"events": report.events, "sealed": report.sealed_size, "witnessed": report.witnessed_size}
    found = tuple(
        Line("stop", "✕", one.message, detail=" · ".join(part for part in (one.table, one.row, one.column) if part))
        for one in report.findings[:SHOWN]
    )
    return Verified(
        look=look,
        text=Sentence(text),
        counts=Sentence(mark("%(events)s looked at, %(sealed)s sealed, %(witnessed)s witnessed."), counts),
        lines=(*found, *(Line("info", "·", note) for note in report.notes[:SHOWN])),
        more=max(len(report.findings) - SHOWN, 0),
    )


urlpatterns = [
    path("audit", audit, name="audit"),
    path("audit/verify", verify, name="verify-audit"),
    path("audit/export", export, name="export-audit"),
]
