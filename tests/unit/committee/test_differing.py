"""What a new policy changes is told rule by rule and by what is asked in the end; nothing is left out or said twice."""

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from releases.committee.rules.differing import Direction, altered, asked, direction
from releases.committee.rules.policy import KINDS, LEVELS, TYPES, Need, parse, required
from tests.unit.committee.test_policy import EVERYTHING, HIGH_IN_PRODUCTION, RULES

ANY = parse([EVERYTHING])
GUARDED = parse([EVERYTHING, HIGH_IN_PRODUCTION])
ANY_PROOF = (None, False)


def need(rules, cell):
    kind, level, change_type = cell
    return required(rules, environment_kinds=[kind], level=level, change_type=change_type)


def proof(need):
    return need.fresh_sign_in_minutes, need.second_factor


def test_the_same_rules_differ_in_nothing():
    assert asked(GUARDED, GUARDED) == []
    assert all(one.stays for one in altered(GUARDED, GUARDED))


def test_a_rule_that_speaks_of_the_same_is_the_same_rule_and_another_is_added_or_taken_away():
    stricter = parse([HIGH_IN_PRODUCTION | {"second_factor": True}, EVERYTHING])
    changed, same = altered(GUARDED, stricter)
    assert (changed.before, changed.after) == (GUARDED[1], stricter[0])
    assert same.stays

    assert [(one.before, one.after) for one in altered(ANY, GUARDED)][1:] == [(None, GUARDED[1])]
    assert [(one.before, one.after) for one in altered(GUARDED, ANY)][1:] == [(GUARDED[1], None)]


def test_two_equal_rules_are_two():
    assert [one.before for one in altered(ANY, ANY * 2)] == [ANY[0], None]
    assert [one.after for one in altered(ANY * 2, ANY)] == [ANY[0], None]


def test_what_is_asked_is_told_in_one_line_wherever_it_is_the_same():
    line, *more = asked(GUARDED, ANY)
    assert more == []
    assert (line.kinds, line.levels, line.types) == (("production",), ("high", "very_high"), TYPES)
    assert line.before == Need({"seat_engineering": 1})
    assert line.after == Need({"seat_engineering": 2, "seat_security": 1})
    assert line.way is Direction.MORE


def test_what_stays_is_left_out_so_that_one_line_tells_it():
    (line,) = asked(parse([{**EVERYTHING, "second_factor": True}]), parse([EVERYTHING]))[:1]
    assert (line.before, line.after) == (Need({}), Need({}, second_factor=True))
    assert line.levels == ("low", "moderate")


def test_where_no_rule_holds_any_more_nothing_passes():
    line, *_rest = asked(parse([HIGH_IN_PRODUCTION]), ANY)
    assert line.after is None
    assert line.way is Direction.MORE


def test_which_way_a_policy_moves_looks_at_seats_sign_in_and_second_factor():
    one = Need({"seat_engineering": 1}, 60)
    assert direction(one, Need({"seat_engineering": 2}, 60)) is Direction.MORE
    assert direction(one, Need({}, 60)) is Direction.LESS
    assert direction(one, Need({"seat_engineering": 1}, 5)) is Direction.MORE
    assert direction(one, Need({"seat_engineering": 1})) is Direction.LESS
    assert direction(one, Need({"seat_engineering": 1}, 60, second_factor=True)) is Direction.MORE
    assert direction(one, Need({"seat_security": 1}, 60)) is Direction.OTHERWISE
    assert direction(one, Need({"seat_engineering": 2})) is Direction.OTHERWISE


@given(RULES, RULES)
def test_every_difference_is_told_once_and_truly(some, others):
    before, after = parse([EVERYTHING, *some]), parse([EVERYTHING, *others])
    told = {cell: line for line in asked(after, before) for cell in line.cells}
    assert len(told) == sum(len(line.cells) for line in asked(after, before))
    for cell in product(KINDS, LEVELS, TYPES):
        was, now = need(before, cell), need(after, cell)
        assert (cell in told) == (was != now)
        if cell in told:
            line = told[cell]
            assert line.way is direction(was, now)
            seats, sign_in = was.seats != now.seats, proof(was) != proof(now)
            assert (line.before.seats, line.after.seats) == ((was.seats, now.seats) if seats else ({}, {}))
            assert (proof(line.before), proof(line.after)) == (
                (proof(was), proof(now)) if sign_in else (ANY_PROOF,) * 2
            )
            release = was.after != now.after
            assert (line.before.after, line.after.after) == ((was.after, now.after) if release else ({}, {}))


@given(RULES)
def test_the_whole_is_told_once_and_truly(some):
    rules = parse([EVERYTHING, *some])
    lines = asked(rules)
    assert sum(len(line.cells) for line in lines) == len(KINDS) * len(LEVELS) * len(TYPES)
    assert all(line.after == need(rules, cell) for line in lines for cell in line.cells)


@given(RULES, RULES, st.randoms())
def test_every_rule_is_told_once_whatever_the_order(some, others, chance):
    before, after = [*parse([EVERYTHING, *some])], parse([EVERYTHING, *others])
    chance.shuffle(before)
    told = altered(before, after)
    assert [one.after for one in told if one.after] == list(after)
    assert sorted(map(repr, (one.before for one in told if one.before))) == sorted(map(repr, before))
