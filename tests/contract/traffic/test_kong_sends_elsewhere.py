"""Kong's plugin canary sends requests past an upstream: whoever shifts its targets is told, and does not guess."""

import pytest

from gmud.sandbox.server import Fault
from releases.traffic.ports import NotEditable, Outcome, Split
from tests.contract.traffic.stages.kong import kong

pytestmark = [pytest.mark.once, pytest.mark.slow]
HALF = Split({"stable": 50, "canary": 50})
ANYWAY = Split(HALF.weights, reason="The plugin serves the testers only.")


@pytest.fixture
def stage():
    with kong() as found:
        yield found


def written(stage, split=HALF):
    return stage.provider.write(stage.route, split, seen=stage.provider.read(stage.route).version)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"percentage": 10}, "10 % of the requests past this upstream"),
        ({"percentage": 0.5}, "0.5 % of the requests past this upstream"),
        ({"start": 1_790_000_000}, "a rising part of the requests past this upstream"),
    ],
)
@pytest.mark.parametrize("is_bound", [True, False])
def test_weights_beside_a_plugin_that_splits_too_are_not_shifted_without_a_reason(stage, config, words, is_bound):
    plugin = stage.space.add_canary(stage.space.service("shop") if is_bound else None, **config)

    preview = stage.provider.preview(stage.route, HALF)
    assert not preview.is_possible
    assert words in str(preview.doubts[0])
    assert f"(service {'shop' if is_bound else '*'})" in str(preview.doubts[0])
    with pytest.raises(NotEditable, match="its weights are not the split"):
        written(stage)
    assert (stage.raw(), stage.writes()) == ({"stable": 90, "canary": 10}, 0)

    assert written(stage, ANYWAY).outcome is Outcome.APPLIED
    assert stage.raw() == {"stable": 50, "canary": 50}
    assert stage.space.plugin(plugin["id"]) == plugin


def test_a_plugin_that_sends_nothing_or_is_of_another_service_stops_nobody(stage):
    shop, other = stage.space.service("shop"), stage.space.add_service("cart", "cart")
    stage.space.add_canary(shop, percentage=0)
    stage.space.add_canary(shop, percentage=10)["enabled"] = False
    stage.space.add_canary(other, percentage=10)
    assert written(stage).outcome is Outcome.APPLIED


def test_a_token_that_may_not_see_plugins_is_told_and_keeps_what_it_saw_of_health(stage):
    stage.kill("canary")
    stage.sandbox.faults.append(Fault("status:403", method="GET", path="/plugins$", body='{"message": "no"}'))
    preview = stage.provider.preview(stage.route, HALF)
    assert any("Part of the check was skipped" in str(one) for one in preview.warnings)
    assert any("health checks" in str(one) for one in preview.doubts)
