"""A service between its neighbours, and what a policy asks for in words."""

from hypothesis import given
from hypothesis import strategies as st

from releases.committee.rules import Need
from releases.core.errors import Sentence
from releases.web import around
from releases.web.around import Neighbour
from releases.web.pages.who_decides import LEVELS, TYPES, lines_of

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


def test_levels_that_are_asked_alike_share_a_line_that_says_which():
    one, two = Need({"seat_engineering": 1}), Need({"seat_engineering": 1, "seat_operations": 1}, second_factor=True)
    needs = {(kind, level): one for kind in TYPES for level in LEVELS}
    needs |= {("normal", "very_high"): two, ("standard", "low"): Need({})}
    needs |= {("emergency", level): None for level in LEVELS}

    said = [(str(line.text), str(line.detail)) for line in lines_of(needs)]

    assert said == [
        ("Normal, up to high risk", "1 person: 1 for Engineering"),
        ("Normal, very high risk", "2 people: 1 for Engineering and 1 for Operations; with a second factor"),
        ("Emergency", "No rule covers it: the gate stays shut."),
        ("Standard, low risk", "Nobody: approved beforehand."),
        ("Standard, from moderate risk", "1 person: 1 for Engineering"),
    ]


def test_a_line_between_two_levels_names_both():
    apart = dict(zip(LEVELS, (None, Need({"seat_security": 1}), Need({"seat_security": 1}), None), strict=True))
    needs = {(kind, level): apart[level] for kind in TYPES for level in LEVELS}

    assert Sentence("%(type)s, %(from)s to %(to)s", {"type": "Normal", "from": "moderate risk", "to": "high risk"}) in [
        line.text for line in lines_of(needs)
    ]
