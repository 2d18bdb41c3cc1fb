"""The key that signs permits is gone: nothing goes forward, and a rollback that somebody began goes all the way."""

from datetime import timedelta
from pathlib import Path

import pytest

from releases.audit.queries import story
from releases.changes.states import State
from releases.core import clock
from releases.gate import permits, queries
from releases.gate import services as gate
from releases.gate.models import Permit
from releases.gate.rules import Request, Run
from releases.gate.states import Intent, Verdict
from tests.factories.gate import CI
from tests.factories.rollback import go_back
from tests.factories.rollout import scheduled

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


@pytest.fixture(autouse=True)
def keys(settings, tmp_path: Path) -> Path:
    settings.GMUD_KEYS = str(tmp_path / "keys")
    return tmp_path / "keys"


@pytest.fixture(params=["gone", "open to others"])
def lose(request, keys):
    def lose() -> None:
        for place in keys.glob("permit-*.pem"):
            place.unlink() if request.param == "gone" else place.chmod(0o644)

    return lose


def question(bank, change, intent: Intent, digest: str) -> Request:
    run = Run("jenkins", "by hand")
    service, environment = bank.house.service.name, bank.house.environment.name
    return Request(service, environment, service, digest, intent, run, change.number)


def test_the_version_before_is_deployed_again_with_a_permit_whose_key_signs_nothing_else(bank, lose):
    change = bank.released()
    lose()

    go_back(bank, change)
    bank.until_state(change, State.REVIEWING)

    permit = Permit.objects.exclude(public_key="").get()
    at = permit.issued_at + timedelta(seconds=1)
    token = bank.builds()[-1]["GMUD_PERMIT"]
    audience = permits.audience_of(intent="rollback", environment="production", service="ledgerwriter")
    claims = permits.verify(token, keys=queries.public_keys(now=at), audience=audience, now=at)
    assert (claims["jti"], claims["act"]) == (str(permit.jti), "rollback")
    assert (bank.weights(), bank.versions()["canary"]) == ({"stable": 100, "canary": 0}, "v0.6.10")
    assert permit.redeemed_at is not None

    assert permit.kid not in queries.public_keys(now=permit.expires_at)
    told = [one.data for one in story(change.stream) if one.kind == "gate.decided" and one.data["intent"] == "rollback"]
    assert [one["one_time_key"] for one in told] == [True]


def test_a_revoked_one_time_key_verifies_nothing(bank, keys):
    change = bank.released()
    for place in keys.glob("permit-*.pem"):
        place.unlink()
    go_back(bank, change)
    bank.until_state(change, State.REVIEWING)
    permit = Permit.objects.exclude(public_key="").get()
    Permit.objects.filter(pk=permit.pk).update(redeemed_at=None, redeemed_by="", revoked_at=clock.now())

    assert queries.public_keys(now=permit.issued_at + timedelta(seconds=1)) == {}


def denied(bank, change, intent: Intent, digest: str, *, fuse: str = "") -> list[str]:
    """Ask in vain; return why."""
    answer = gate.ask(actor=CI, request=question(bank, change, intent, digest), fuse=fuse, now=clock.now())
    assert (answer.decision.verdict, answer.permit) == (Verdict.DENY, None)
    return [reason["code"] for reason in answer.decision.reasons]


@pytest.mark.parametrize("fuse", ["", "a job of ours"])
def test_nothing_goes_forward(bank, keys, fuse):
    change = scheduled(bank.house)
    next(keys.glob("permit-*.pem")).unlink()

    assert denied(bank, change, Intent.DEPLOY, change.items.get().artifact.digest, fuse=fuse) == ["policy_error"]


def test_nobody_goes_back_past_the_button(bank, keys):
    change = bank.released()
    back = change.items.get().way_back.target_artifact.digest
    next(keys.glob("permit-*.pem")).unlink()

    assert denied(bank, change, Intent.ROLLBACK, back, fuse="a job of ours") == ["policy_error"]
    go_back(bank, change)
    assert denied(bank, change, Intent.ROLLBACK, back) == ["policy_error"]  # not a step of the rollback itself
