"""The one button: what going back means, in words, or why it cannot be pressed."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.utils.translation import gettext_lazy as _

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
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
    """The one button; refusals say why it cannot be pressed, ``act`` names the door it leads to."""

    word: Words
    title: Words
    lines: tuple[Line, ...]
    stay: Words
    act: str = "go-back"
    refusals: tuple[Line, ...] = ()
    is_running: bool = False


def go_back_of(seen: Seen, actor: Actor) -> GoBack | None:
    """Return the one button with its consequences in words, or why it cannot be pressed."""
    names = seen.names
    word = Sentence(mark("Go back to %(back)s"), names)
    if seen.row.state == State.ROLLING_BACK:
        if seen.waits:
            return _anew(seen, actor)
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


def lacking(actor: Actor, *rights: Right) -> tuple[Line, ...]:
    """Return why this person may not do it and who can, or nothing; one of the rights is enough."""
    if accounts.rights_of(actor) & set(rights):
        return ()
    who = sorted({person.name for right in rights for person in accounts.holders_of_right(right)})
    if not who:
        return (Line("stop", "✕", Sentence(mark("Nobody holds the right to do this yet."))),)
    return (Line("stop", "✕", Sentence(mark("You may not do this. %(who)s can."), {"who": who})),)


def _anew(seen: Seen, actor: Actor) -> GoBack:
    """Return the same button once the rollback does not go on by itself: it begins anew."""
    let_go = Line("wait", "→", _("What is under way is let go; what is done already is found and kept."))
    doubts = Line("wait", "!", _("With a reason, traffic goes back although the look at a route had doubts."))
    return GoBack(
        word=_("Begin anew"),
        title=_("Begin the rollback anew?"),
        lines=(let_go, doubts, *_consequences(seen)),
        stay=_("Leave it as it is"),
        act="take-over",
        refusals=lacking(actor, Right.ROLLBACK_BEGIN),
    )


def _consequences(seen: Seen) -> Iterable[Line]:
    names = {**seen.names, "services": both(dict.fromkeys(item.service for item in seen.card.items))}
    if any(item.splits for item in seen.card.items):
        yield Line("undo", "↶", Sentence(mark("At once, every request to %(services)s goes to %(back)s."), names))
    jobs = list(dict.fromkeys(item.job for item in seen.card.items if item.job))
    if jobs:
        yield Line("info", "▶", Sentence(mark("Then %(back)s is deployed again."), names), detail=both(jobs))
    yield from (_data(item) for item in seen.card.items)
    refused = Sentence(mark("%(version)s is refused by the gate afterwards, until a person clears it."), names)
    yield Line("wait", "◔", refused)
    until = seen.card.watch_until_at if seen.row.state != State.ROLLING_BACK else None  # begun in time, it may go on
    text = mark("You may do this now: the committee approved the way back with %(name)s, in any freeze.")
    yield Line("go", "✓", Sentence(text, {"name": seen.card.name}), at=until)


def _data(item: ItemCard) -> Line:
    line = looks.MIGRATIONS[item.migration_class]
    return Line(line.tone, line.sign, line.text, detail=line.detail or item.service)
