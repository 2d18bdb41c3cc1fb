"""Show what files would do to the catalogue, and do exactly that: everything or nothing, and a second time nothing.

What a person wrote by hand is never overwritten unasked: where a file says otherwise, a person answers for each value
whether ours stays or theirs is taken. What files no longer say stays, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

from django.db import transaction

from releases.accounts.rights import Right
from releases.accounts.rules import is_slug
from releases.accounts.services import require
from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.catalog.imports.files import File, read_files
from releases.catalog.imports.here import Here, edits_of, look
from releases.catalog.imports.plan import Answer, Plan, plan_of, unanswered
from releases.catalog.imports.said import Reading, Unfit
from releases.catalog.imports.writing import write
from releases.core.errors import Invalid, Sentence, Stale
from releases.core.words import mark as _


class Unanswered(Invalid):
    """Conflicts wait for an answer; nothing was written."""

    def __init__(self, ids: Sequence[str]) -> None:
        """Name them."""
        self.ids = frozenset(ids)
        sentence = Sentence(_("Say for each conflict which value holds; then apply."))
        super().__init__(sentence, fields={one: [Sentence(_("Choose one."))] for one in ids[:50]})


def preview(*, actor: Actor, files: Sequence[File], default_team: str = "") -> Plan:
    """Return what the files would do, and write nothing.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Unfit: something in the files cannot be taken over, each with its place, field and fix
    :raises Invalid: there is nothing to read, or too much of it
    """
    require(actor, Right.CATALOG_EDIT)
    return _planned(_read(files, default_team), look(lock=False), default_team)


def apply(
    *,
    actor: Actor,
    files: Sequence[File],
    default_team: str = "",
    answers: Mapping[str, Answer],
    rest: Answer | None = None,
    seen_digest: str = "",
    now: datetime,
) -> Plan:
    """Do what the files ask for, in one transaction. ``rest`` answers the conflicts that ``answers`` does not name.

    ``seen_digest`` is the plan that somebody agreed to: another one is not carried out.

    :raises NotPermitted: the actor may not edit the catalogue
    :raises Unfit: something in the files cannot be taken over; nothing is
    :raises Stale: the plan would be another one than the one that was seen
    :raises Unanswered: a conflict has no answer
    :raises Contradicted: the record contradicts its witness, so nothing is edited
    """
    require(actor, Right.CATALOG_EDIT)
    audit.agree()
    reading = _read(files, default_team)
    with transaction.atomic(durable=True):
        here = look(lock=True)  # closes the race of the plan that was seen with an edit of the same rows
        plan = _planned(reading, here, default_team)
        if seen_digest and seen_digest != plan.digest:
            raise Stale(Sentence(_("Something changed since this plan was made: look at the new one.")))
        said = {one.id: answers.get(one.id, rest) for one in plan.conflicts}
        final = {name: answer for name, answer in said.items() if answer is not None}
        if waiting := unanswered(plan, final):
            raise Unanswered([one.id for one in waiting])
        written = write(plan, final, here, actor=actor, now=now)
    return replace(plan, is_applied=True, written=written)


def _read(files: Sequence[File], default_team: str) -> Reading:
    if default_team and not is_slug(default_team):
        sentence = Sentence(_("A team's name has lower-case letters, digits and hyphens only, up to 63 of them."))
        raise Invalid(sentence, fields={"team": [sentence]})
    reading = read_files(files)
    if reading.flaws:
        raise Unfit(reading.flaws)
    return reading


def _planned(reading: Reading, here: Here, default_team: str) -> Plan:
    plan, flaws = plan_of(reading, here, default_team=default_team, edits_of=edits_of)
    if flaws:
        raise Unfit(flaws)
    return plan
