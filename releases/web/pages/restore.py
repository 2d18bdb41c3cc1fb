"""Restore: what putting the traffic of a route back would write, before anybody writes it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.contrib import messages
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext as now_in_words
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from releases.accounts import queries as accounts
from releases.audit.actor import Actor
from releases.core import clock
from releases.core.errors import External, GmudError, Invalid, Refused, Sentence, Unreachable
from releases.core.words import mark
from releases.rollback.services import restoring
from releases.rollback.services.restoring import Restoration
from releases.traffic import queries
from releases.traffic.ports import Preview
from releases.traffic.rules import printed
from releases.web.answer import page
from releases.web.errors import trouble_of
from releases.web.looks import Line, Words, line_of
from releases.web.pages.going_back import lacking
from releases.web.pages.route import MAY_LOOK
from releases.web.request import Request, shows_again, signed_in


@dataclass(frozen=True, slots=True)
class Shown:
    """The page: what would be written, what that reaches, what speaks against it, and the form."""

    drift_id: UUID
    headline: Words
    word: Words
    lines: tuple[Line, ...]
    refusals: tuple[Line, ...]
    doubts: tuple[Line, ...]
    operations: str
    seen: str


def _shown(request: Request, drift_id: UUID, *, status: int = 200, **more: object) -> HttpResponse:
    """Show the page; a control plane that does not answer is named, and has every guard in the write itself.

    It is asked only for those who may make us look: trying a write out costs it a dozen requests.
    """
    now, silence, previewed = clock.now(), None, None
    found = restoring.restoration_of(drift_id, now=now)
    try:
        if accounts.rights_of(request.actor) & MAY_LOOK:
            previewed = restoring.preview(drift_id=drift_id, now=now)
    except (External, Refused) as error:
        silence = error
    context = {"restore": _page(found, previewed, silence, request.actor), **more}
    return page(request, "traffic/restore.html", context, here="traffic", status=status)


def _page(found: Restoration, previewed: Preview | None, silence: GmudError | None, actor: Actor) -> Shown:
    drift = found.drift
    names = {"service": drift.service, "environment": drift.environment}
    refusals = [*lacking(actor, found.right), *(line_of(reason) for reason in found.reasons)]
    refusals += [Line("stop", "✕", one) for one in previewed.obstacles] if previewed else []
    lines = _lines(found, previewed)
    if isinstance(silence, Unreachable):
        untried = Sentence(mark("Nothing could be tried out: %(why)s"), {"why": silence.detail})
        lines.append(Line("wait", "?", untried))
    elif silence:
        refusals.append(Line("stop", "✕", silence.detail))
    return Shown(
        drift_id=drift.id,
        headline=Sentence(mark("Put the traffic of %(service)s in %(environment)s back?"), names),
        word=Sentence(mark("Restore %(weights)s"), {"weights": printed(_as_they_count(found))}),
        lines=tuple(lines),
        refusals=tuple(refusals),
        doubts=tuple(Line("wait", "?", one) for one in previewed.doubts) if previewed else (),
        operations=json.dumps(list(previewed.operations), indent=1, ensure_ascii=False) if previewed else "",
        seen=json.dumps(dict(drift.observed), sort_keys=True),
    )


def _as_they_count(found: Restoration) -> Mapping[str, int | None]:
    """Return the numbers that stand there again; where some were absent, all of them as they count."""
    raw = found.standing.version.weights
    return (found.standing.counted or raw) if None in raw.values() else raw


def _lines(found: Restoration, previewed: Preview | None) -> list[Line]:
    """Return what restoring means: from what to what, who is overruled, whom it reaches, and what may undo it."""
    drift = found.drift
    parts = {"wanted": printed(drift.asked), "found": printed(drift.observed)}
    lines = [
        Line("undo", "↶", Sentence(mark("%(found)s goes back to %(wanted)s."), parts), detail=queries.who_did_it(drift))
    ]
    if found.is_forward:
        text = _(
            "Its new version gets more, and its release has not ended well: the gate decides, now and before the write."
        )
        lines.append(Line("info", "▶", text))
    else:
        lines.append(Line("go", "✓", _("This was approved and stood before: no gate and no freeze holds it up.")))
    if previewed:
        hosts = (*previewed.before.hosts, *previewed.referrers)
        reached = Sentence(mark("It reaches %(hosts)s."), {"hosts": ", ".join(hosts)})
        lines += [Line("", "→", reached)] if hosts else []
        lines += [Line("wait", "!", one) for one in previewed.warnings]
    return lines


def _again(request: Request, error: GmudError, drift_id: UUID) -> HttpResponse:
    """Show the page with what was refused; where there is nothing to restore any more, all the traffic."""
    try:
        return _shown(request, drift_id, status=error.status, trouble=trouble_of(error))
    except GmudError:
        messages.error(request, str(error.detail))
        return HttpResponseRedirect(reverse("traffic"))


@require_http_methods(["GET", "POST"])
@signed_in
@shows_again(_again)
def restore(request: Request, drift_id: UUID) -> HttpResponse:
    """Show what restoring would write; a POST has it written."""
    if request.method == "GET":
        return _shown(request, drift_id)
    restoring.restore(
        drift_id=drift_id,
        seen=_weights(request.POST.get("seen", "")),
        actor=request.actor,
        reason=request.POST.get("reason", "").strip()[:500],
        now=clock.now(),
    )
    messages.success(request, now_in_words("It is being put back. This page shows when it stands."))
    return HttpResponseRedirect(reverse("traffic"))


def _weights(text: str) -> dict[str, int]:
    """Read the weights that were shown.

    :raises Invalid: these are none
    """
    try:
        read = json.loads(text[:2000])
    except ValueError:
        read = None
    if not isinstance(read, dict):
        raise Invalid(Sentence(mark("The weights that were shown are missing. Open the page again.")))
    return read
