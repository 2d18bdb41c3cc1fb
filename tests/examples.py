"""How many examples a property is tried with: set where it is written, scaled by how long the run may take."""

from hypothesis import HealthCheck, settings

USUAL = 100
# A tenth in make check and make test-fast, as written in make test, ten times in make test-long.
PROFILES = {"quick": USUAL // 10, "usual": USUAL, "long": USUAL * 10}

for _name, _examples in PROFILES.items():
    # Nothing here fails by the clock: machines are slow when they are busy.
    settings.register_profile(
        _name, max_examples=_examples, deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
settings.load_profile("usual")


def examples(count: int) -> settings:
    """Return the settings of a property that wants so many examples in make test."""
    return settings(max_examples=max(count * settings().max_examples // USUAL, 1))
