"""Ask a driver of weights for something, once: look, send if it does not stand, look again when the answer is lost."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from releases.cluster.client import ClusterClient, Kind
from releases.cluster.errors import PatchFailed, VersionConflict
from releases.core.errors import Sentence, Unreachable
from releases.core.words import mark as _
from releases.traffic.drivers.ports import Granted, Move, Progress, Standing, Wish
from releases.traffic.objects import fetched
from releases.traffic.owners import driver
from releases.traffic.ports import Conflict, Difference, NotApplied, NotEditable, Outcome, Owner

Object = Mapping[str, Any]
LOOKS = (0.2, 0.5, 1.0, 2.0)
WHOLE = 100
PROGRESS_SECONDS = 600.0  # what both give new pods until something must have happened, unless they are told otherwise
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


@dataclass(frozen=True, slots=True)
class Verb:
    """How a wish is brought: when it may be, how it is sent, and how to see, from before and after, that it stands."""

    may: Callable[[Object], bool]
    send: Callable[[ClusterClient, Object], None]
    stands: Callable[[Object, Object], bool]


@dataclass(frozen=True, slots=True)
class Book:
    """All that is known of one kind of driver; ``standing`` tells phase, canary, whole and warnings of an object.

    ``way_back`` is what takes all traffic back there, ``patience`` how many seconds that may take. ``progress`` tells
    how it stands in a move; ``finishing`` is what is asked, in this order, so that a version gets all traffic at
    once, ``tidying`` what is asked afterwards.
    ``version`` names what it holds for stable, ``moves`` says whether another one is on its way to people, ``promotes``
    whether nothing calls that back, ``rests`` whether nothing is on its way, ``notices`` within how many seconds it
    sees that something is, and ``untidy`` whether there is something to tidy.
    """

    system: str
    kind: Kind
    called: str
    verbs: Mapping[Wish, Verb]
    standing: Callable[[Object], tuple[str, int | None, int, tuple[Sentence, ...]]]
    way_back: Wish
    patience: Callable[[Object], float]
    progress: Callable[[Object, Move], Progress]
    finishing: tuple[Wish, ...]
    tidying: tuple[Wish, ...]
    version: Callable[[Object], str]
    moves: Callable[[Object], bool]
    promotes: Callable[[Object], bool]
    rests: Callable[[Object], bool]
    notices: Callable[[Object], float]
    untidy: Callable[[Object], bool]


@dataclass(frozen=True, slots=True)
class Asking:
    """A :class:`~releases.traffic.drivers.ports.Driver` by the book; ``sleep`` waits between looks."""

    cluster: ClusterClient
    book: Book
    namespace: str
    name: str
    sleep: Callable[[float], None] = time.sleep

    @property
    def owner(self) -> Owner:
        """Say who it is."""
        return driver(self.book.system, name=self.name)

    def look(self) -> Standing:
        """Look how it stands."""
        return self._standing(self._get())

    def ask(self, wish: Wish) -> Granted:
        """Ask for something, once."""
        before, verb = self._get(), self.book.verbs.get(wish)
        if verb and verb.stands(before, before):
            return Granted(Outcome.ALREADY, self._standing(before))
        if verb is None or not verb.may(before):
            raise NotEditable(self._refusal(self._standing(before)))
        try:
            verb.send(self.cluster, before)
        except (VersionConflict, PatchFailed) as error:
            text = _("%(name)s moved on while it was asked. Nothing was done; look at it again.")
            raise Conflict(Sentence(text, {"name": self.name}), difference=Difference(restructured=True)) from error
        except Unreachable as lost:
            return self._after_silence(verb, before, lost)
        return Granted(Outcome.APPLIED, self.look())

    def progress(self, move: Move) -> Progress:
        """Look how it stands in a move."""
        return self.book.progress(self._get(), move)

    def finishing(self) -> tuple[Wish, ...]:
        """Return what is asked of it so that a version gets all traffic."""
        return self.book.finishing

    def tidying(self) -> tuple[Wish, ...]:
        """Return what is asked of it afterwards."""
        return self.book.tidying

    def go_back(self) -> Granted:
        """Ask for all traffic back."""
        return self.ask(self.book.way_back)

    def _refusal(self, standing: Standing) -> Sentence:
        text = _("%(system)s cannot do that for %(name)s as it stands: %(phase)s.")
        parts = {"system": self.book.system, "name": self.name, "phase": standing.phase or "?"}
        return Sentence.of_all([Sentence(text, parts), *standing.warnings])

    def _after_silence(self, verb: Verb, before: Object, lost: Unreachable) -> Granted:
        """Look until there is an answer.

        :raises NotApplied: it does not stand
        :raises Unreachable: still nobody answers
        """
        for pause in LOOKS:
            self.sleep(pause)
            try:
                now = self._get()
            except Unreachable:
                continue
            if verb.stands(before, now):
                return Granted(Outcome.APPLIED, self._standing(now))
            raise NotApplied(lost.detail) from lost
        raise lost

    def _get(self) -> Object:
        book = self.book
        return fetched(self.cluster, book.kind, self.namespace, self.name, called=book.called, product=book.system)

    def _standing(self, found: Object) -> Standing:
        phase, canary, whole, warnings = self.book.standing(found)
        wishes = tuple(
            wish for wish, verb in self.book.verbs.items() if verb.may(found) and not verb.stands(found, found)
        )
        book = self.book
        return Standing(
            self.owner,
            phase,
            canary,
            whole,
            wishes,
            warnings,
            patience_seconds=book.patience(found),
            version=book.version(found),
            is_moving=book.moves(found),
            is_promoting=book.promotes(found),
            is_at_rest=book.rests(found),
            notices_seconds=book.notices(found),
            is_untidy=book.untidy(found),
        )


def seconds(written: object) -> float:
    """Return a span of time as Go writes it, such as ``1m30s``, or a bare number, in seconds; 0 for anything else."""
    text = str(written)
    return float(text) if text.isdecimal() else sum(float(n) * _SECONDS[unit] for n, unit in _SPAN.findall(text))


def waits_elsewhere(name: str, percent: int, found: list[int]) -> Sentence:
    """Return why a driver does not stop at a share, and what to do."""
    text = _(
        "%(name)s does not wait at %(percent)s %% as this change wants it: the shares it waits at are %(found)s. "
        "Give the change those steps, or the object these."
    )
    shares = ", ".join(f"{one} %" for one in found) or "–"
    return Sentence(text, {"name": name, "percent": percent, "found": shares})


def address(found: Object) -> tuple[str, str]:
    """Return namespace and name of an object."""
    return found["metadata"]["namespace"], found["metadata"]["name"]


def guarded(found: Object, change: Mapping[str, Any]) -> dict[str, Any]:
    """Return a merge patch that is refused when the object was written since."""
    return {"metadata": {"resourceVersion": found["metadata"]["resourceVersion"]}, **change}
