"""Take from each line of the witness what was signed of the tree; tell apart what was lost and what was cut off.

A line counts when its epoch leads to the present one and it was sealed before the restore. A line of an older epoch
beyond that was lost, and the event that began the next epoch owned up to it. Anything else is a finding.
"""

from collections.abc import Iterable
from typing import Any

from releases.audit.epochs import Sealed
from releases.audit.report import Lost
from releases.audit.verification.looking import Look, differing
from releases.audit.witness import BadLine
from releases.core.errors import Sentence
from releases.core.words import mark as _


def compare(look: Look, seen: Iterable[Any]) -> None:
    """Hold the lines against each other and against the beginnings of epochs; keep the roots that count."""
    before: Sealed | None = None
    lost: dict[int, int] = {}
    for one in seen:
        row = f"line {one.line}"
        if isinstance(one, BadLine):
            look.report.notes.append(Sentence(_("Line %(line)s of the witness cannot be read."), {"line": one.line}))
            continue
        said = look.said("witness", row, one.note)
        if said is None:
            continue
        for column in differing(("epoch", "size", "root"), (one.epoch, one.size, one.root), said):
            look.find("witness", row, column, _("The line says something else than what was signed."))
        here = Sealed(said.epoch, said.size, said.root)
        if before and (here.epoch, here.size) <= (before.epoch, before.size):
            look.find("witness", row, "size", _("The tree did not grow since the line before."))
            continue
        if before and here.epoch != before.epoch:
            _owned_up(look, here.epoch, before)
        before = here
        if look.lineage.counts(here):
            look.roots.setdefault(here.size, []).append(("witness", row, here.root))
            look.report.witnessed_size = max(look.report.witnessed_size, here.size)
        elif here.epoch > look.lineage.current:
            look.find("witness", row, "epoch", _("The record knows nothing of this epoch: what it held was cut off."))
        else:
            lost[here.epoch] = max(lost.get(here.epoch, 0), here.size)
    if before and before.epoch < look.lineage.current:
        _owned_up(look, look.lineage.current, before)
    for epoch, size in sorted(lost.items()):
        _tell(look, epoch, size)


def _owned_up(look: Look, epoch: int, before: Sealed) -> None:
    """See that an epoch of ours began with what the witness had seen last."""
    began = look.lineage.beginnings.get(epoch)
    if began and look.lineage.is_ancestor(epoch) and began.witnessed != before:
        row = f"beginning of epoch {epoch}"
        look.find("audit_event", row, "body", _("It does not tell what the witness had seen when it began."))


def _tell(look: Look, epoch: int, size: int) -> None:
    if not look.lineage.is_ancestor(epoch):
        sentence = Sentence(_("Epoch %(epoch)s, up to event %(last)s, was left."), {"epoch": epoch, "last": size - 1})
        look.report.lost.append(Lost(epoch, None, size - 1))
    else:
        first = int(look.lineage.bound(epoch))
        parts = {"epoch": epoch, "first": first, "last": size - 1}
        sentence = Sentence(_("Events %(first)s to %(last)s of epoch %(epoch)s were lost with a restore."), parts)
        look.report.lost.append(Lost(epoch, first, size - 1))
    look.report.notes.append(sentence)
