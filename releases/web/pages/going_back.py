"""The one button: what going back means, in words, or why it cannot be pressed."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from releases.audit.actor import Actor
from releases.changes import queries
from releases.changes.queries import ItemCard
from releases.changes.states import ENDED, Outcome, State
from releases.core.errors import Sentence
from releases.core.words import mark
from releases.web import looks
from releases.web.looks import Line, Words, line_of
from releases.web.pages.seen import Seen
from releases.web.tags import both


@dataclass(frozen=True, slots=True)
class GoBack:
    """The one button; refusals say why it cannot be pressed."""

    word: Words
    title: Words
    lines: tuple[Line, ...]
    stay: Words
    refusals: tuple[Line, ...] = ()
    is_running: bool = False


def go_back_of(seen: Seen, actor: Actor) -> GoBack | None:
    """Return the one button with its consequences in words, or why it cannot be pressed."""
    names = seen.names
    word = Sentence(mark("Go back to %(back)s"), names)
    if seen.row.state == State.ROLLING_BACK:
        running = Sentence(mark("Going back to %(back)s"), names)
        why = Line("info", "↶", _("The rollback is running. A second click is the same rollback."))
        return GoBack(running, "", (), "", refusals=(why,), is_running=True)
    if seen.row.state in ENDED or seen.row.outcome == Outcome.ROLLED_BACK:
        return None
    buttons = {one.verb: one for one in queries.buttons(seen.row, actor=actor, now=seen.now)}
    button = buttons.get("roll_back")
    if button is None:
        return None
    return GoBack(
        word=word,
        title=Sentence(mark("Go back to %(back)s?"), names),
        lines=tuple(_consequences(seen)),
        stay=Sentence(mark("Stay on %(version)s"), names),
        refusals=tuple(line_of(reason) for reason in button.reasons),
    )


def _consequences(seen: Seen) -> Iterable[Line]:
    names = {**seen.names, "services": both(dict.fromkeys(item.service for item in seen.card.items))}
    if any(item.snapshot for item in seen.card.items):
        yield Line("undo", "↶", Sentence(mark("At once, every request to %(services)s goes to %(back)s."), names))
    jobs = list(dict.fromkeys(item.job for item in seen.card.items if item.job))
    if jobs:
        yield Line("info", "▶", Sentence(mark("Then %(back)s is deployed again."), names), detail=both(jobs))
    yield from (_data(item) for item in seen.card.items)
    refused = Sentence(mark("%(version)s is refused by the gate afterwards, until a person clears it."), names)
    yield Line("wait", "◔", refused)
    until = seen.card.watch_until_at
    text = mark("You may do this now: the committee approved the way back with %(name)s, in any freeze.")
    yield Line("go", "✓", Sentence(text, {"name": seen.card.name}), at=until)


def _data(item: ItemCard) -> Line:
    line = looks.MIGRATIONS[item.migration_class]
    return Line(line.tone, line.sign, line.text, detail=line.detail or item.service)
