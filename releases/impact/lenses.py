"""The words of the assessment: four lenses, one per letter of the name, the two sides of risk, its levels."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from releases.core.words import mark as _


class Lens(StrEnum):
    """From where a fact is looked at."""

    GOVERNANCE = "governance"
    MANAGEMENT = "management"
    UPTIME = "uptime"
    DELIVERY = "delivery"


class Side(StrEnum):
    """Whether points say how bad it would be, how probable it is, or nothing (a fact to know)."""

    IMPACT = "impact"
    LIKELIHOOD = "likelihood"
    NONE = "none"


class Level(StrEnum):
    """The risk of a change, from low to very high; the order of writing is the order of size."""

    LOW = "low"
    MODERATE = "moderate"
    HIGH = "high"
    VERY_HIGH = "very_high"

    @property
    def rank(self) -> int:
        """Return 0 for low to 3 for very high."""
        return list(Level).index(self)


LENS_TITLES: Mapping[Lens, str] = MappingProxyType(
    {
        Lens.GOVERNANCE: _("Governance"),
        Lens.MANAGEMENT: _("Management"),
        Lens.UPTIME: _("Uptime"),
        Lens.DELIVERY: _("Delivery"),
    }
)
LEVEL_TITLES: Mapping[Level, str] = MappingProxyType(
    {
        Level.LOW: _("Low risk"),
        Level.MODERATE: _("Moderate risk"),
        Level.HIGH: _("High risk"),
        Level.VERY_HIGH: _("Very high risk"),
    }
)
