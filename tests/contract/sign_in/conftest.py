"""Providers as an operator sets them up."""

from collections.abc import Callable, Iterator

import pytest

from tests.factories.providers import CLIENT, CLIENT_SECRET, HERE, Scripted, a_scripted_provider


@pytest.fixture
def trust(settings) -> Callable[..., None]:
    """Return a function that sets up a provider, as the operator would."""

    def set_up(issuer: str, **more: object) -> None:
        given = {
            "PUBLIC_URL": HERE,
            "GMUD_OIDC_ISSUER": issuer,
            "GMUD_OIDC_CLIENT_ID": CLIENT,
            "GMUD_OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "GMUD_OIDC_NAME": "Keycloak",
            **more,
        }
        for name, value in given.items():
            setattr(settings, name, value)

    return set_up


@pytest.fixture
def provider(trust) -> Iterator[Scripted]:
    with a_scripted_provider() as running:
        trust(running.issuer)
        yield running
