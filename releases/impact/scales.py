"""Every threshold of the assessment, in one table.

A scale turns a fact into points. What is not known, and what no row foresees, counts as the worst of its scale: so
knowing more can only lower the risk, and hiding something never does.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from releases.impact.lenses import Lens, Level, Side

Steps = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Scale:
    """One row: the lens and side a fact counts on, and its points by number (``from`` → points) or by word."""

    lens: Lens
    side: Side
    steps: Steps = ()
    words: Mapping[str, int] | None = None

    @property
    def worst(self) -> int:
        """Return the most points this scale can give."""
        return max([points for _start, points in self.steps] + list((self.words or {}).values()))

    def of_number(self, number: int) -> int:
        """Return the points of the last step that the number reaches."""
        return step(self.steps, number)

    def of_word(self, word: str) -> int:
        """Return the points of a word; one that is not in the table counts as the worst."""
        return (self.words or {}).get(word, self.worst)


def step(steps: Steps, number: int) -> int:
    """Return the value of the last step that the number reaches; the first step also holds below it."""
    reached = [value for start, value in steps if number >= start]
    return reached[-1] if reached else steps[0][1]


SCALES: Mapping[str, Scale] = MappingProxyType(
    {
        # code                 lens             side             points
        "data":        Scale(Lens.GOVERNANCE, Side.IMPACT,     words={"": 0, "personal": 1, "card": 2, "money": 2}),
        "type":        Scale(Lens.GOVERNANCE, Side.LIKELIHOOD, words={"standard": 0, "normal": 0, "emergency": 1}),
        "customers":   Scale(Lens.MANAGEMENT, Side.IMPACT,     steps=((0, 0), (1, 1), (1_000, 2), (100_000, 3))),
        "notice":      Scale(Lens.MANAGEMENT, Side.IMPACT,     words={"none": 0, "kept": 0, "broken": 2}),
        "timing":      Scale(Lens.MANAGEMENT, Side.LIKELIHOOD, steps=((0, 0), (1, 1))),
        "environment": Scale(Lens.UPTIME,     Side.NONE,       words={"development": 0, "staging": 0, "production": 0}),
        "criticality": Scale(Lens.UPTIME,     Side.IMPACT,     steps=((1, 0), (2, 1), (3, 2), (4, 3))),
        "reach":       Scale(Lens.UPTIME,     Side.IMPACT,     steps=((0, 0), (1, 1), (4, 2), (10, 3))),
        "incidents":   Scale(Lens.UPTIME,     Side.LIKELIHOOD, steps=((0, 0), (1, 2), (2, 3))),
        "budget":      Scale(Lens.UPTIME,     Side.LIKELIHOOD, steps=((0, 0), (50, 1), (100, 2))),
        "tests":       Scale(Lens.DELIVERY,   Side.LIKELIHOOD, words={"passed": 0, "none": 3, "failed": 3}),
        "size":        Scale(Lens.DELIVERY,   Side.LIKELIHOOD, steps=((1, 0), (2, 1), (4, 2))),
        "base":        Scale(Lens.DELIVERY,   Side.LIKELIHOOD, words={"running": 0, "nothing": 1}),
        "migration":   Scale(Lens.DELIVERY,   Side.IMPACT,
                             words={"none": 0, "expand": 0, "contract": 2, "irreversible": 3}),
        "rehearsal":   Scale(Lens.DELIVERY,   Side.IMPACT,     words={"proved": 0, "assumed": 1, "impossible": 3}),
        "history":     Scale(Lens.DELIVERY,   Side.LIKELIHOOD, words={"enough": 0, "little": 1}),
    }
)  # fmt: skip

IMPACT_OF_POINTS: Steps = ((0, 1), (3, 2), (6, 3), (9, 4))
LIKELIHOOD_OF_POINTS: Steps = ((0, 1), (2, 2), (4, 3), (6, 4))
# Failures in per cent of the last changes, counted against at least so many: one bad start is not 100 %.
LIKELIHOOD_OF_FAILURES: Steps = ((0, 1), (5, 2), (15, 3), (30, 4))
ENOUGH_CHANGES = 5
WORST = 4
# However bad it is, it is no worse than this where it happens; an environment not in the table is taken as production.
HIGHEST_IMPACT_IN: Mapping[str, int] = MappingProxyType({"development": 1, "staging": 2, "production": 4})
LEVEL_OF_PRODUCT: tuple[tuple[int, Level], ...] = (
    (1, Level.LOW),
    (4, Level.MODERATE),
    (8, Level.HIGH),
    (12, Level.VERY_HIGH),
)


def level_of(impact: int, likelihood: int) -> Level:
    """Return the risk: 1–3 low, 4–6 moderate, 8–9 high, 12–16 very high."""
    return [level for start, level in LEVEL_OF_PRODUCT if impact * likelihood >= start][-1]
