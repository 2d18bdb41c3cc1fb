"""What is said of a call that came to nothing is what broke this call, not one before it."""

import httpcore2

from releases.core.errors import Unreachable
from releases.core.http_causes import cause


def earlier() -> Unreachable:
    error = Unreachable("The first answer was lost.")
    error.__cause__ = ConnectionRefusedError()
    return error


def while_handling(before: Unreachable) -> httpcore2.ReadTimeout:
    error = httpcore2.ReadTimeout()
    error.__context__ = before
    return error


def test_what_broke_the_call_before_is_not_said_of_this_one():
    assert str(cause("Kong", while_handling(earlier()))) == "Kong did not answer (ReadTimeout)."


def test_an_error_that_names_itself_as_its_cause_ends_the_search():
    before = earlier()
    before.__cause__ = before

    assert str(cause("Kong", while_handling(before))) == "Kong did not answer (ReadTimeout)."


def test_a_circle_of_causes_ends_the_search():
    first, second = httpcore2.ReadError(), OSError()
    first.__cause__, second.__cause__ = second, first

    assert str(cause("Kong", first)) == "Kong did not answer (ReadError)."
