"""Write the weights of one route, and never lose somebody else's change: the same way on every control plane.

Read, compare with what was seen, look around, send under guard, read back. A guard that did not hold is tried again
only while the route is still the one that was seen; a lost answer is looked up before anything is said about it.
"""

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Generic

from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.words import mark as _
from releases.traffic import rules
from releases.traffic.plane import At, ControlPlane, NotTriedOut, Outrun, Place, Survey
from releases.traffic.ports import (
    Capabilities,
    Conflict,
    Contended,
    Difference,
    NotApplied,
    NotEditable,
    Outcome,
    Preview,
    Reading,
    RouteRef,
    Split,
    Step,
    Version,
    Weights,
    Written,
)

RETRIES = 3
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 0.3
LOOKS = (0.2, 0.5, 1.0, 2.0, 4.0)
LOOKS_FOR_SECONDS = 15.0  # half a lease: whoever takes the step over must not find us still at it
_chance = secrets.SystemRandom()


@dataclass(slots=True)
class Guarded(Generic[At]):
    """A :class:`~releases.traffic.ports.TrafficProvider` over any control plane; ``sleep`` waits between tries.

    ``clock`` tells how long they have taken.
    """

    plane: ControlPlane[At]
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def capabilities(self) -> Capabilities:
        """Say what can be done here."""
        return self.plane.capabilities()

    def read(self, route: RouteRef) -> Reading:
        """Look at a route."""
        return self.plane.find(route).reading

    def preview(self, route: RouteRef, split: Split) -> Preview:
        """Run the whole write dry where the server can; refusals become obstacles, what is not known warnings.

        An object that somebody writes at this moment is no obstacle: the write tries again.
        """
        place, can = self.plane.find(route), self.plane.capabilities()
        before = place.reading
        try:
            wanted = raw_weights(before, split, largest=can.largest)
        except NotEditable as error:
            return Preview(before, (), (), (*before.obstacles, error.detail), before.warnings)
        steps = tuple(
            Step(target.name, target.weight, wanted[target.name])
            for target in before.targets
            if target.name in wanted and wanted[target.name] != target.weight
        )
        operations = tuple(self.plane.operations(place, wanted))
        around = self._survey(place, split, wanted, can)
        obstacles, warnings = [*before.obstacles, *around.obstacles], [*before.warnings, *around.warnings]
        if not obstacles:
            told, refused = self._tried_out(place, wanted, can)
            warnings, obstacles = warnings + told, obstacles + refused
        return Preview(
            before,
            steps,
            operations,
            obstacles=tuple(obstacles),
            warnings=tuple(warnings),
            doubts=tuple(around.doubts),
            referrers=tuple(around.referrers),
        )

    def write(
        self, route: RouteRef, split: Split, *, seen: Version, still: Callable[[], None] = lambda: None
    ) -> Written:
        """Set the weights under guard; ``still`` has the word directly before each request."""
        place, can = self.plane.find(route), self.plane.capabilities()
        wanted = raw_weights(_as_seen(place.reading, seen), split, largest=can.largest)
        if is_as_asked(place.reading, split):
            return Written(Outcome.ALREADY, place.reading)
        intent = _Intent(split, seen, wanted, can)
        intent.check(place.reading)
        around = self._survey(place, split, wanted, can)
        for refusal in (*around.obstacles, *around.doubts):
            raise NotEditable(refusal)
        for left in reversed(range(RETRIES + 1)):
            still()
            try:
                sent = self.plane.send(place, self.plane.operations(place, wanted))
            except Outrun:
                if left:
                    self.sleep(_chance.uniform(SHORTEST_PAUSE, LONGEST_PAUSE))
            except Unreachable as lost:
                return self._after_silence(route, intent, lost)
            else:
                return Written(Outcome.APPLIED, self._settled(route, intent), sent.audit_id)
            place = self.plane.find(route)
            if is_as_asked(place.reading, split):
                return Written(Outcome.APPLIED, place.reading)
            intent.check(place.reading)
        raise _contended(place.reading, seen)

    def _survey(self, place: Place[At], split: Split, wanted: Weights, can: Capabilities) -> Survey:
        """Look around; a reason given turns doubts into warnings."""
        around = self.plane.survey(place, wanted)
        if can.obstacle:
            around.obstacles.insert(0, can.obstacle)
        if split.fingerprint and split.fingerprint != place.reading.version.fingerprint:
            text = _("The route is another than the one these weights were taken from, with the same targets.")
            around.doubts.append(Sentence(text))
        if not place.reading.version.is_strict:
            text = _("This gateway knows no versions: what stands there is compared just before and after the write.")
            around.warnings.append(Sentence(text))
        if split.reason:
            around.warnings += around.doubts
            around.doubts = []
        return around

    def _tried_out(self, place: Place[At], wanted: Weights, can: Capabilities) -> tuple[list[Sentence], list[Sentence]]:
        """Return what the server warns of and what it would refuse."""
        untried = _("Nothing is tried out before it is written. %(why)s")
        if not can.tries_out:
            return [Sentence(untried, {"why": Sentence(_("This gateway cannot do that."))})], []
        try:
            sent = self.plane.send(place, self.plane.operations(place, wanted), dry_run=True)
        except Outrun:
            return [Sentence(_("Somebody is writing this object right now. Look again in a moment."))], []
        except NotTriedOut as error:
            return [Sentence(untried, {"why": error.detail})], []
        except Rejected as error:
            return [], [error.detail]
        return [Sentence(text.replace("%", "%%")) for text in sent.warnings], []

    def _settled(self, route: RouteRef, intent: "_Intent") -> Reading:
        """Read back: the weights stand as asked and nothing else of the route changed.

        :raises Conflict: somebody changed it at once
        :raises Unreachable: what stands there can no longer be seen
        """
        try:
            reading = self.plane.find(route).reading
        except Rejected as no:
            text = _("The weights were taken, but what stands there can no longer be seen. %(no)s")
            raise Unreachable(Sentence(text, {"no": no.detail})) from no
        if not is_as_asked(reading, intent.split) or reading.version.fingerprint != intent.seen.fingerprint:
            raise _conflict(reading, intent.seen)
        return reading

    def _after_silence(self, route: RouteRef, intent: "_Intent", lost: Unreachable) -> Written:
        """Look until there is an answer: a write whose answer is lost may stand or not.

        :raises NotApplied: what was seen still stands
        :raises Conflict: something else stands there
        :raises Unreachable: still nobody answers, we may not look, or half of a write in two requests stands
        """
        until = self.clock() + LOOKS_FOR_SECONDS
        for pause in LOOKS:
            self.sleep(pause)
            try:
                reading = self.plane.find(route).reading
            except Unreachable:
                if self.clock() < until:
                    continue
                break
            except Rejected as no:
                both = {"lost": lost.detail, "no": no.detail}
                raise Unreachable(Sentence(_("%(lost)s Looking for it: %(no)s"), both)) from no
            if is_as_asked(reading, intent.split):
                return Written(Outcome.APPLIED, reading)
            intent.check(reading)
            if reading.version.weights == dict(intent.seen.weights):
                raise NotApplied(lost.detail) from lost
            break
        raise lost


@dataclass(frozen=True, slots=True)
class _Intent:
    """One write: what is asked, what was seen, the raw weights that come of it."""

    split: Split
    seen: Version
    wanted: Weights
    can: Capabilities

    def check(self, reading: Reading) -> None:
        """Refuse a route that must not be written, or is not as it was seen; half of our own write is ours.

        :raises NotEditable: it is going away, or another system drives it
        :raises Conflict: somebody changed it
        """
        if reading.obstacles:
            raise NotEditable(reading.obstacles[0])
        now = reading.version
        is_same = (now.uid, now.fingerprint) == (self.seen.uid, self.seen.fingerprint)
        if not is_same or not (now.weights == dict(self.seen.weights) or self._is_half(now.weights)):
            raise _conflict(reading, self.seen)

    def _is_half(self, weights: Weights) -> bool:
        """Say whether each weight is the one seen or the one wanted, where not all can change at once."""
        return not self.can.is_atomic and all(
            weight in (self.seen.weights.get(name), self.wanted.get(name)) for name, weight in weights.items()
        )


def _as_seen(reading: Reading, seen: Version) -> Reading:
    """Return the reading with the weights that were seen: what is asked is reckoned from those."""
    there = [replace(one, weight=seen.weights.get(one.name, one.weight)) for one in reading.targets]
    return replace(reading, targets=tuple(there))


def raw_weights(reading: Reading, split: Split, *, largest: int) -> dict[str, int | None]:
    """Return the raw weights to write, by name; targets that are not named must be without traffic.

    :raises NotEditable: a name is unknown, a target is left out, or the weights make no sense
    """
    absent = max((target.absent for target in reading.targets), default=0)
    trouble = rules.problem(split.weights, largest=largest, absent=absent)
    if trouble:
        raise NotEditable(trouble)
    there = reading.weights
    unknown = sorted(split.weights.keys() - there.keys())
    if unknown:
        raise NotEditable(Sentence(_("The route has no target called %(name)s."), {"name": ", ".join(unknown)}))
    left = sorted(name for name, share in there.items() if share and name not in split.weights)
    if left:
        parts = {"name": ", ".join(left)}
        raise NotEditable(Sentence(_("%(name)s gets traffic too: say how much it is to get."), parts))
    if _is_literal(split):
        return dict(split.weights)
    shares = [weight or 0 for weight in split.weights.values()]
    scale = min(sum(there.values()), largest)  # as one weight may become the whole
    return dict(zip(split.weights, rules.in_scale(shares, scale), strict=True))


def is_as_asked(reading: Reading, split: Split) -> bool:
    """Say whether the split is already what stands there."""
    if _is_literal(split):
        raw = reading.version.weights
        left = any(share for name, share in reading.weights.items() if name not in split.weights)
        return not left and all(raw.get(name, 0) == weight for name, weight in split.weights.items())
    return rules.stands(reading.weights, split.weights)


def _is_literal(split: Split) -> bool:
    return split.literal or None in split.weights.values()


def _conflict(reading: Reading, seen: Version) -> Conflict:
    now, writer = reading.version, reading.writer
    restructured = (now.uid, now.fingerprint) != (seen.uid, seen.fingerprint)
    who = writer.name if writer else "?"
    if restructured:
        text = _("%(who)s changed the route itself, not only its weights. Nothing was overwritten; look at it first.")
    else:
        text = _("%(who)s changed the weights meanwhile. Nothing was overwritten; decide which ones are to stand.")
    return Conflict(
        Sentence(text, {"who": who}),
        difference=Difference(dict(seen.weights), dict(now.weights), writer, restructured),
    )


def _contended(reading: Reading, seen: Version) -> Contended:
    text = _("Another writer keeps changing the object, so ours never came through. Find it and stop it.")
    difference = Difference(dict(seen.weights), dict(reading.version.weights), reading.writer)
    return Contended(Sentence(text), difference=difference)
