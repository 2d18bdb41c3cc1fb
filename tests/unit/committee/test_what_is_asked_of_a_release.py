"""What a policy asks of a release itself: the strictest wins, nothing waits for ever, and who asks nothing stays so."""

import pytest

from releases.committee.rules.coming_first import dead_ends
from releases.committee.rules.differing import Direction, asked, direction
from releases.committee.rules.policy import LEVELS, Need, canonical_form, parse, required
from releases.core import canonical
from releases.core.errors import Invalid

SEATS = {"seats": {"seat_engineering": 1}}
IN_PRODUCTION = {"when": {"environment_kind": ["production"]}, **SEATS}
AFTER_STAGING = {**IN_PRODUCTION, "after_environment": "staging", "soak_hours": 24}
ENVIRONMENTS = {"development": "development", "staging": "staging", "production": "production"}


def need(*rules, kind="production", level="low", change_type="normal"):
    return required(parse(list(rules)), environment_kinds=[kind], level=level, change_type=change_type)


def test_a_policy_that_asks_nothing_of_a_release_is_the_text_it_was_before_it_could():
    before = [
        {
            "when": {"environment_kind": ["production"], "risk_at_least": "high"},
            "seats": {"seat_engineering": 2},
            "fresh_sign_in_minutes": 5,
        }
    ]
    nothing = {"highest_risk": None, "after_environment": None, "soak_hours": None}

    for document in (before, [{**before[0], **nothing}]):
        written = canonical_form(parse(document))
        assert set(written[0]) == {"when", "seats", "fresh_sign_in_minutes", "second_factor"}
        assert canonical.digest(written) == "sha256:9efd35ffabcc8df509eb4bf44a831fb4750e49c9dd71508e907ff61ced9ffe41"
    assert (need(*before, level="high").highest_risk, need(*before, level="high").after) == ("", {})


def test_what_is_asked_is_written_down_and_read_back_the_same():
    rules = parse([{**AFTER_STAGING, "highest_risk": "moderate"}, SEATS])
    document = canonical_form(rules)

    assert {name: document[0][name] for name in ("highest_risk", "after_environment", "soak_hours")} == {
        "highest_risk": "moderate",
        "after_environment": "staging",
        "soak_hours": 24,
    }
    assert "soak_hours" not in document[1]
    assert parse(document) == rules


def test_of_several_rules_the_lowest_ceiling_and_the_longest_stay_count_and_every_environment():
    rules = (
        {**SEATS, "highest_risk": "high"},
        {**IN_PRODUCTION, "highest_risk": "moderate", "after_environment": "development"},
        AFTER_STAGING,
        {**AFTER_STAGING, "soak_hours": 48},
        {**AFTER_STAGING, "soak_hours": 2},
    )

    assert need(*rules).highest_risk == "moderate"
    assert need(*rules).after == {"development": 0, "staging": 48}
    assert (need(*rules, kind="staging").highest_risk, need(*rules, kind="staging").after) == ("high", {})


def test_a_rule_asks_only_where_it_holds():
    rules = (SEATS, {**AFTER_STAGING, "when": {"environment_kind": ["production"], "type": ["normal"]}})

    assert need(*rules).after == {"staging": 24}
    assert need(*rules, change_type="emergency").after == {}
    assert need(*rules, kind="development").after == {}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"highest_risk": "very_high"}, "highest_risk"),
        ({"highest_risk": "enormous"}, "highest_risk"),
        ({"highest_risk": ["low"]}, "highest_risk"),
        ({"highest_risk": ""}, "highest_risk"),
        ({"highest_risk": "moderate", "when": {"risk_at_least": "high"}}, "highest_risk"),
        ({"after_environment": "Not a name"}, "after_environment"),
        ({"after_environment": 7}, "after_environment"),
        ({"after_environment": ""}, "after_environment"),
        ({"soak_hours": 24}, "soak_hours"),
        *(({"after_environment": "staging", "soak_hours": wrong}, "soak_hours") for wrong in (0, -1, 1.5, "24", True)),
        ({"after_environment": "staging", "soak_hours": 90 * 24 + 1}, "soak_hours"),
    ],
)
def test_what_cannot_be_read_or_never_kept_is_named_by_its_field(changed, field):
    with pytest.raises(Invalid) as caught:
        parse([{**SEATS, **changed}])

    assert list(caught.value.fields) == [f"rules[0].{field}"]


def dead(*rules):
    return {field: str(one) for field, (one,) in dead_ends(parse(list(rules)), ENVIRONMENTS).items()}


def test_one_environment_after_the_other_is_no_dead_end():
    staging = {**SEATS, "when": {"environment_kind": ["staging"]}, "after_environment": "development"}

    assert dead(AFTER_STAGING, staging, SEATS) == {}


def test_an_environment_there_is_not_is_named():
    assert dead(SEATS, {**AFTER_STAGING, "after_environment": "moon"}) == {
        "rules[1].after_environment": "There is no environment moon: use one of development, staging, production."
    }


def test_nothing_comes_after_itself():
    everywhere = {**AFTER_STAGING, "when": {}}

    assert list(dead(everywhere)) == ["rules[0].after_environment"]
    assert "cannot come before itself" in dead(everywhere)["rules[0].after_environment"]


def test_a_circle_is_named_at_every_rule_that_closes_it():
    staging = {**SEATS, "when": {"environment_kind": ["staging"]}, "after_environment": "development"}
    development = {**SEATS, "when": {"environment_kind": ["development"]}, "after_environment": "production"}

    found = dead(AFTER_STAGING, staging, development)
    assert list(found) == [f"rules[{index}].after_environment" for index in range(3)]
    assert "each would wait for the other" in found["rules[0].after_environment"]


def test_rules_for_other_types_of_change_close_no_circle():
    normal = {**AFTER_STAGING, "when": {"environment_kind": ["production"], "type": ["normal"]}}
    back = {
        **SEATS,
        "when": {"environment_kind": ["staging"], "type": ["emergency"]},
        "after_environment": "production",
    }

    assert dead(normal, back) == {}
    assert len(dead(normal, {**back, "when": {"environment_kind": ["staging"]}})) == 2


def test_which_way_a_policy_moves_looks_at_what_it_asks_of_a_release():
    plain = Need({"seat_engineering": 1})
    ceiling = Need({"seat_engineering": 1}, highest_risk="high")
    after = Need({"seat_engineering": 1}, after={"staging": 0})

    assert direction(plain, ceiling) is Direction.MORE
    assert direction(ceiling, Need({"seat_engineering": 1}, highest_risk="low")) is Direction.MORE
    assert direction(ceiling, plain) is Direction.LESS
    assert direction(plain, after) is Direction.MORE
    assert direction(after, Need({"seat_engineering": 1}, after={"staging": 24})) is Direction.MORE
    assert direction(after, plain) is Direction.LESS
    assert direction(after, Need({"seat_engineering": 1}, after={"development": 24})) is Direction.OTHERWISE


def test_a_difference_tells_what_is_asked_of_a_release_and_leaves_out_what_stays():
    (line,) = asked(parse([{**SEATS, "highest_risk": "high"}]), parse([SEATS]))[:1]
    assert (line.before, line.after) == (Need({}), Need({}, highest_risk="high"))
    assert line.levels == LEVELS

    two = {**SEATS, "seats": {"seat_engineering": 2}, "highest_risk": "high"}
    (line,) = asked(parse([two]), parse([{**SEATS, "highest_risk": "high"}]))
    assert (line.before, line.after) == (Need({"seat_engineering": 1}), Need({"seat_engineering": 2}))
