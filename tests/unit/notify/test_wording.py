"""A sentence that is kept comes back whole, and what people wrote comes back harmless."""

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from releases.core.errors import Sentence
from releases.notify import wording

PARTS = st.recursive(
    st.integers() | st.text() | st.datetimes(timezones=st.just(UTC)),
    lambda inner: (
        st.lists(inner, max_size=3) | st.builds(Sentence, st.just("%(inner)s"), st.fixed_dictionaries({"inner": inner}))
    ),
    max_leaves=5,
)


@given(PARTS)
def test_kept_once_or_twice_it_is_the_same(part):
    kept = wording.keep(Sentence("%(part)s", {"part": part}))

    assert wording.keep(wording.read(kept)) == kept


@given(st.text())
def test_what_people_wrote_is_one_line_that_everybody_can_see(text):
    line = wording.plain(text)

    assert line.isprintable()
    assert len(line) <= wording.LONGEST_PART
    assert "\n" not in line


def test_a_moment_stays_a_moment():
    at = datetime(2026, 9, 15, 13, 30, tzinfo=UTC)

    assert wording.read(wording.keep(Sentence("at %(at)s", {"at": at}))).parts == {"at": at}


def test_signs_that_turn_the_line_around_are_gone():
    assert wording.plain("pay\u202eton\r\nBcc: x@example.com") == "pay ton Bcc: x@example.com"
