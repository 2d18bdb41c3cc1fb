"""A service between its neighbours, and what a policy asks for in words."""

from hypothesis import given
from hypothesis import strategies as st

from releases.committee.rules import Need
from releases.web import around
from releases.web.around import Neighbour
from releases.web.pages.who_decides import LEVELS, TYPES, lines_of
from releases.web.tags import say

neighbours = st.lists(
    st.builds(Neighbour, st.text("abc-", min_size=1, max_size=40), st.just("read somewhere"), st.booleans()),
    max_size=9,
)


@given(neighbours, neighbours)
def test_every_neighbour_is_drawn_inside_the_picture_or_counted(callers, callees):
    picture = around.lay_out("ledger", callers=callers, callees=callees)

    if not callers and not callees:
        assert picture is None
        return
    assert len(picture.boxes) + picture.hidden == 1 + len(callers) + len(callees)
    assert len(picture.arrows) == len(picture.boxes) - 1
    for box in picture.boxes:
        assert 0 <= box.x <= picture.width - box.width
        assert 0 <= box.y <= picture.height - box.height
        assert len(box.name) <= around.LONGEST
    places = {(box.x, box.y) for box in picture.boxes}
    assert len(places) == len(picture.boxes)


@given(neighbours)
def test_what_no_owner_confirmed_is_dashed_and_nothing_else(callers):
    picture = around.lay_out("ledger", callers=callers, callees=[Neighbour("db", "said", is_confirmed=True)])
    shown = callers[: around.MOST]

    assert [box.kind == "open" for box in picture.boxes[: len(shown)]] == [not one.is_confirmed for one in shown]
    assert [arrow.kind == "open" for arrow in picture.arrows] == [*(not one.is_confirmed for one in shown), False]
    assert picture.has_dashed == any(not one.is_confirmed for one in callers)


def said(needs):
    return [(say(line.text), say(line.detail)) for line in lines_of(needs)]


def test_changes_of_which_the_same_is_asked_share_a_line_that_says_which():
    one, two = Need({"seat_engineering": 1}), Need({"seat_engineering": 1, "seat_operations": 1}, second_factor=True)
    needs = {(kind, level): one for kind in TYPES for level in LEVELS}
    assert said(needs) == [("Every change", "1 person: 1 for Engineering")]

    needs |= {("normal", "very_high"): two, ("emergency", "very_high"): two, ("standard", "low"): Need({})}
    assert said(needs) == [
        ("Normal and emergency, up to high risk", "1 person: 1 for Engineering"),
        (
            "Normal and emergency, very high risk",
            "2 people: 1 for Engineering and 1 for Operations; with a second factor",
        ),
        ("Standard, low risk", "Nobody: approved beforehand."),
        ("Standard, from moderate risk", "1 person: 1 for Engineering"),
    ]


def test_a_sign_in_that_must_be_fresh_from_some_level_on_is_said_on_the_same_line():
    plain, fresh = Need({"seat_security": 1}), Need({"seat_security": 1}, fresh_sign_in_minutes=5)
    needs = {(kind, level): fresh if "high" in level else plain for kind in TYPES for level in LEVELS}

    detail = "1 person: 1 for Security; from high risk signed in within the last 5 minutes"
    assert said(needs) == [("Every change", detail)]
    assert said(dict.fromkeys(needs, fresh)) == [
        ("Every change", "1 person: 1 for Security; signed in within the last 5 minutes")
    ]


def test_a_line_between_two_levels_names_both_and_what_no_rule_covers_is_said():
    apart = dict(zip(LEVELS, (None, Need({"seat_security": 1}), Need({"seat_security": 1}), None), strict=True))
    needs = {(kind, level): apart[level] for kind in TYPES for level in LEVELS}

    assert said(needs) == [
        ("Every change, low risk", "No rule covers it: the gate stays shut."),
        ("Every change, moderate risk to high risk", "1 person: 1 for Security"),
        ("Every change, very high risk", "No rule covers it: the gate stays shut."),
    ]
