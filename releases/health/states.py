"""What a verdict can say."""

from enum import StrEnum


class Health(StrEnum):
    """How a version is doing; ``unknown`` is never taken for healthy."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"
