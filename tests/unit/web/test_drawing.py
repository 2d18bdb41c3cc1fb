from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from releases.audit.kinds import Kind
from releases.changes.states import MAIN_LINE, ChangeType, MigrationClass, Outcome, State
from releases.committee.seats import SEATS
from releases.core.errors import Sentence
from releases.gate.states import Intent, ReasonCode, Verdict
from releases.impact.lenses import Lens, Level
from releases.web import curves, lanes, looks, reach, telling

NOON = datetime(2026, 9, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
TOLD_ON_CHANGES = (
    "change", "deployment", "gate", "operation", "permit", "rollback", "rollout", "shift", "verdict",
)  # fmt: skip
names = st.sampled_from(["a", "b", "c", "d", "e"])


def percent(value):
    return f"{value * 100:.2g} %"


def test_every_word_of_the_rooms_has_a_look():
    assert set(looks.STATES) == set(State)
    assert set(looks.OUTCOMES) == set(Outcome)
    assert set(looks.TYPES) == set(ChangeType)
    assert set(looks.RISKS) == set(Level)
    assert set(looks.VERDICTS) == set(Verdict)
    assert set(looks.SEATS) == set(looks.APPROVE_AS) == SEATS
    assert set(looks.LENSES) == set(Lens)
    assert set(looks.MIGRATIONS) == set(MigrationClass)
    assert tuple(looks.LIFE) == MAIN_LINE
    assert set(telling.HELD) == set(ReasonCode)
    assert set(telling.INTENTS) == set(Intent)


def test_every_event_of_a_change_has_a_sentence():
    told = {kind.value for kind in Kind if kind.value.partition(".")[0] in TOLD_ON_CHANGES} - {"change.voted"}

    assert told - set(telling.TOLD) == set()


def test_an_event_that_lacks_a_part_shows_a_dash():
    assert telling.tell(kind="change.submitted", who="Ana", data={}) == Sentence(
        telling.TOLD["change.submitted"], {"who": "Ana", "revision": "—"}
    )


def test_the_rail_of_a_rejected_change_ends_after_the_last_stop_it_reached():
    assert [(str(stop.word), stop.at) for stop in looks.rail("rejected", reached="authorizing")] == [
        ("Draft", "done"),
        ("Assessing", "done"),
        ("Authorizing", "done"),
        ("Rejected", "now"),
    ]


def test_the_rail_of_a_running_change_has_one_stop_that_is_now():
    for state in State:
        assert [stop.at for stop in looks.rail(state)].count("now") == (0 if state == State.CLOSED else 1)


@given(
    touched=st.sets(names, min_size=1),
    direct=st.sets(names),
    indirect=st.sets(names),
    edges=st.sets(st.tuples(names, names)),
)
def test_a_picture_shows_every_service_once_and_only_edges_between_them(touched, direct, indirect, edges):
    graph = reach.lay_out(touched=sorted(touched), direct=direct, indirect=indirect, edges=edges)
    shown = [node.name for node in graph.nodes]

    assert sorted(shown) == sorted(touched | direct | indirect)
    assert len({(node.x, node.y) for node in graph.nodes}) == len(shown)
    assert len(graph.arrows) == len({(a, b) for a, b in edges if a in shown and b in shown and a != b})
    assert all(node.x >= 0 and node.x + reach.WIDTH <= graph.width for node in graph.nodes)


def test_a_long_column_says_how_many_it_hides():
    graph = reach.lay_out(touched=["x"], direct=[f"s{n:02}" for n in range(10)], indirect=[], edges=[])

    assert graph.hidden == 10 - reach.MOST


def test_a_clash_is_exactly_the_common_time():
    drawn = lanes.lay_out(
        mine=(NOON, NOON + 2 * HOUR),
        opens=[],
        freezes=[],
        booked=[(NOON - HOUR, NOON + HOUR), (NOON + 2 * HOUR, NOON + 3 * HOUR)],
    )

    assert [(block.x, block.width) for block in drawn.mine] == [("25.00%", "50.00%")]
    assert [(block.x, block.width) for block in drawn.clashes] == [("25.00%", "25.00%")]


def test_a_curve_ends_at_the_last_value_and_marks_the_click():
    values = [(NOON, 0.074), (NOON + HOUR, 0.003)]
    curve = curves.draw("Error rate", values, limit=0.01, say=percent, click=NOON + HOUR / 2)

    assert curve is not None
    assert (curve.was, curve.now, curve.limit) == ("7.4 %", "0.3 %", "1 %")
    assert curve.points.split(" ")[-1] == f"{curve.dot_x},{curve.dot_y}"
    assert curve.click_x == curves.WIDTH // 2


def test_without_values_there_is_no_curve():
    assert curves.draw("Error rate", [], limit=0.01, say=percent) is None
