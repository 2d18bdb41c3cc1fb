"""What a policy says is read strictly, must cover every change, and must be within people's reach."""

from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.committee.rules import policy
from releases.committee.rules.policy import KINDS, LEVELS, TYPES, canonical_form, hardest, holes, parse, required
from releases.core.errors import Invalid, Refused

EVERYTHING = {"seats": {"seat_engineering": 1}}
HIGH_IN_PRODUCTION = {
    "when": {"environment_kind": ["production"], "risk_at_least": "high"},
    "seats": {"seat_engineering": 2, "seat_security": 1},
    "fresh_sign_in_minutes": 5,
}
ANN, BOB, CLO = (UUID(int=number) for number in (1, 2, 3))
ENGINEER, GUARD = frozenset({"seat_engineering"}), frozenset({"seat_security"})


def need(*rules, kinds=("production",), level="low", change_type="normal"):
    return required(parse(list(rules)), environment_kinds=kinds, level=level, change_type=change_type)


def test_every_rule_that_holds_counts_and_the_strictest_wins():
    assert need(EVERYTHING, HIGH_IN_PRODUCTION).seats == {"seat_engineering": 1}
    assert need(EVERYTHING, HIGH_IN_PRODUCTION, level="high").seats == {"seat_engineering": 2, "seat_security": 1}
    assert need(HIGH_IN_PRODUCTION, EVERYTHING, level="very_high").seats == {"seat_engineering": 2, "seat_security": 1}


def test_the_environments_touched_are_taken_together():
    staging = {"when": {"environment_kind": ["staging"]}, "seats": {"seat_business": 1}}
    production = {"when": {"environment_kind": ["production"]}, "seats": {"seat_security": 2}}
    both = need(staging, production, kinds=("staging", "production"))
    assert both.seats == {"seat_business": 1, "seat_security": 2}


def test_the_freshest_sign_in_any_rule_asks_for_wins():
    relaxed = {**EVERYTHING, "fresh_sign_in_minutes": 60}
    assert need(EVERYTHING).fresh_sign_in_minutes is None
    assert need(relaxed).fresh_sign_in_minutes == 60
    assert need(relaxed, HIGH_IN_PRODUCTION, level="high").fresh_sign_in_minutes == 5


@pytest.mark.parametrize(("level", "minutes"), [("low", None), ("moderate", None), ("high", 5), ("very_high", 5)])
def test_high_risk_asks_for_a_fresh_sign_in_also_where_no_rule_does(level, minutes):
    assert need(EVERYTHING, level=level).fresh_sign_in_minutes == minutes
    assert need({**EVERYTHING, "fresh_sign_in_minutes": 60}, level=level).fresh_sign_in_minutes == (minutes or 60)
    assert need({**EVERYTHING, "fresh_sign_in_minutes": 2}, level=level).fresh_sign_in_minutes == 2


def test_a_second_factor_is_asked_when_any_rule_that_holds_asks_for_it():
    guarded = {**HIGH_IN_PRODUCTION, "second_factor": True}
    assert not need(EVERYTHING, guarded).second_factor
    assert need(EVERYTHING, guarded, level="high").second_factor
    assert need(EVERYTHING, guarded, level="high", kinds=("production", "staging")).second_factor
    assert canonical_form(parse([guarded]))[0]["second_factor"] is True
    assert canonical_form(parse([EVERYTHING]))[0]["second_factor"] is False


@pytest.mark.parametrize(
    ("kinds", "level", "change_type"),
    [
        (("staging",), "high", "normal"),
        (("production", "staging"), "high", "normal"),
        (("production",), "moderate", "normal"),
        ((), "high", "normal"),
        (("moon",), "high", "normal"),
        (("production",), "unheard_of", "normal"),
    ],
)
def test_what_no_rule_covers_is_refused_not_waved_through(kinds, level, change_type):
    with pytest.raises(Refused) as caught:
        need(HIGH_IN_PRODUCTION, kinds=kinds, level=level, change_type=change_type)
    assert [reason.code for reason in caught.value.reasons] == ["policy_error"]


def test_a_type_nobody_foresaw_is_not_covered_by_a_rule_for_all_types():
    with pytest.raises(Refused):
        need(EVERYTHING, change_type="unforeseen")


def test_a_hole_is_named_for_every_kind_of_change():
    assert holes(parse([EVERYTHING])) == []
    found = holes(parse([HIGH_IN_PRODUCTION]))
    assert len(found) == len(KINDS) * len(LEVELS) * len(TYPES) - 2 * len(TYPES)
    assert str(found[0]) == ("No rule of the policy covers a standard change of low risk in production: add one.")


def test_only_standard_changes_can_be_approved_beforehand():
    free = {"when": {"type": ["standard"]}, "seats": {}}
    normal = {"when": {"type": ["normal", "emergency"]}, **EVERYTHING}
    assert need(free, normal, change_type="standard").is_pre_approved
    assert not need(free, normal).is_pre_approved
    with pytest.raises(Invalid) as caught:
        parse([{"when": {"type": ["normal", "standard"]}, "seats": {}}])
    assert list(caught.value.fields) == ["rules[0].seats"]


def test_a_pre_approval_yields_to_any_rule_that_asks_somebody():
    free = {"when": {"type": ["standard"]}, "seats": {}}
    assert need(free, HIGH_IN_PRODUCTION, level="high", change_type="standard").seats["seat_security"] == 1


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ("all", "rules"),
        ([], "rules"),
        (["all"], "rules[0]"),
        ([{**EVERYTHING, "quorum": 2}], "rules[0].quorum"),
        ([{"when": {}}], "rules[0].seats"),
        ([{"seats": {}}], "rules[0].seats"),
        ([{"seats": {"seat_parking": 1}}], "rules[0].seats.seat_parking"),
        ([{"seats": {"owner": 1}}], "rules[0].seats.owner"),
        ([{"seats": {"seat_security": 0}}], "rules[0].seats.seat_security"),
        ([{"seats": {"seat_security": -1}}], "rules[0].seats.seat_security"),
        ([{"seats": {"seat_security": 1.5}}], "rules[0].seats.seat_security"),
        ([{"seats": {"seat_security": True}}], "rules[0].seats.seat_security"),
        ([{"seats": {"seat_security": "2"}}], "rules[0].seats.seat_security"),
        ([{"seats": {"seat_security": 10**9}}], "rules[0].seats.seat_security"),
        ([{**EVERYTHING, "when": {"where": []}}], "rules[0].when.where"),
        ([{**EVERYTHING, "when": []}], "rules[0].when"),
        ([{**EVERYTHING, "when": {"environment_kind": ["moon"]}}], "rules[0].when.environment_kind"),
        ([{**EVERYTHING, "when": {"environment_kind": []}}], "rules[0].when.environment_kind"),
        ([{**EVERYTHING, "when": {"environment_kind": "production"}}], "rules[0].when.environment_kind"),
        ([{**EVERYTHING, "when": {"environment_kind": [["production"]]}}], "rules[0].when.environment_kind"),
        ([{**EVERYTHING, "when": {"risk_at_least": "enormous"}}], "rules[0].when.risk_at_least"),
        ([{**EVERYTHING, "when": {"risk_at_least": ["low"]}}], "rules[0].when.risk_at_least"),
        ([{**EVERYTHING, "when": {"type": ["retroactive"]}}], "rules[0].when.type"),
        ([{**EVERYTHING, "fresh_sign_in_minutes": 0}], "rules[0].fresh_sign_in_minutes"),
        ([{**EVERYTHING, "fresh_sign_in_minutes": "5"}], "rules[0].fresh_sign_in_minutes"),
        ([{**EVERYTHING, "second_factor": "yes"}], "rules[0].second_factor"),
        ([{**EVERYTHING, "second_factor": None}], "rules[0].second_factor"),
        ([EVERYTHING, {"seats": {"seat_parking": 1}}], "rules[1].seats.seat_parking"),
    ],
)
def test_what_cannot_be_read_is_named_by_its_field(document, field):
    with pytest.raises(Invalid) as caught:
        parse(document)
    assert list(caught.value.fields) == [field]
    assert caught.value.fields[field]


def test_every_wrong_field_is_named_at_once():
    with pytest.raises(Invalid) as caught:
        parse([{"seats": {"seat_parking": 1}, "when": {"type": ["x"]}, "quorum": 1}])
    assert set(caught.value.fields) == {"rules[0].quorum", "rules[0].seats.seat_parking", "rules[0].when.type"}


def test_the_stored_document_says_everything_and_reads_back_the_same():
    rules = parse([EVERYTHING, HIGH_IN_PRODUCTION])
    document = canonical_form(rules)
    assert document[0]["when"] == {"environment_kind": sorted(KINDS), "risk_at_least": "low", "type": sorted(TYPES)}
    assert parse(document) == rules


def shortfalls(document, **holders):
    held = {ANN: holders.get("ann"), BOB: holders.get("bob"), CLO: holders.get("clo")}
    people = {person: seats for person, seats in held.items() if seats}
    return [(one.seat, one.missing) for one in policy.shortfalls(parse(document), people)]


def test_a_seat_that_nobody_holds_is_missing():
    assert shortfalls([EVERYTHING]) == [("seat_engineering", 1)]
    assert shortfalls([EVERYTHING], ann=ENGINEER) == []


def test_how_many_are_missing_is_said_for_each_seat():
    assert shortfalls([EVERYTHING, HIGH_IN_PRODUCTION], ann=ENGINEER) == [("seat_engineering", 1), ("seat_security", 1)]


def test_one_person_on_two_seats_is_one_person():
    both = ENGINEER | GUARD
    document = [{"seats": {"seat_engineering": 1, "seat_security": 1}}]
    assert shortfalls(document, ann=both) == [("seat_security", 1)]
    assert shortfalls(document, ann=both, bob=ENGINEER) == []


def test_a_change_that_touches_everything_counts_too():
    document = [
        {"when": {"environment_kind": ["production"]}, "seats": {"seat_security": 1}},
        {"when": {"environment_kind": ["staging", "development"]}, "seats": {"seat_engineering": 1}},
    ]
    assert shortfalls(document, ann=ENGINEER | GUARD) == [("seat_security", 1)]


def test_the_sentence_names_the_seat_and_how_many_are_missing():
    reason = policy.shortfalls(parse([HIGH_IN_PRODUCTION, EVERYTHING]), {ANN: ENGINEER})[0].reason
    assert str(reason.message) == (
        "Nobody could ever satisfy this policy: Engineering asks for 2, and 1 more must hold that seat "
        "(one person fills one seat)."
    )


RULES = st.lists(
    st.fixed_dictionaries(
        {
            "seats": st.dictionaries(
                st.sampled_from(["seat_engineering", "seat_security"]), st.integers(1, 3), min_size=1
            )
        },
        optional={
            "after_environment": st.sampled_from(["staging", "development"]),
            "when": st.fixed_dictionaries(
                {},
                optional={
                    "environment_kind": st.lists(st.sampled_from(KINDS), min_size=1, unique=True),
                    "risk_at_least": st.sampled_from(LEVELS),
                    "type": st.lists(st.sampled_from(TYPES), min_size=1, unique=True),
                },
            ),
        },
    ),
    max_size=4,
)


@given(RULES, st.sets(st.sampled_from(KINDS), min_size=1), st.sampled_from(LEVELS), st.sampled_from(TYPES))
def test_nothing_needs_more_than_the_hardest_change_and_more_rules_never_ask_for_less(rules, kinds, level, change_type):
    before = need(EVERYTHING, kinds=kinds, level=level, change_type=change_type).seats
    parsed = parse([EVERYTHING, *rules])
    found = required(parsed, environment_kinds=kinds, level=level, change_type=change_type).seats
    most = hardest(parsed, change_type=change_type).seats
    assert all(found.get(seat, 0) >= people for seat, people in before.items())
    assert all(most[seat] >= people for seat, people in found.items())
