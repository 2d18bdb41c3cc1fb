"""Some systems repeat in their errors what they were shown: nothing of it comes in."""

import pytest

from releases.core import redaction
from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.http import LONGEST_REST, Reply

SECRET = "canary-0123456789-repeated"


@pytest.fixture(autouse=True)
def _known():
    redaction.remember(SECRET)


def test_the_text_of_an_answer_holds_no_secret_of_ours():
    assert Reply(401, {}, f"no such token {SECRET}".encode()).text == "no such token [secret]"


def test_an_answer_that_is_no_json_is_quoted_without_it():
    with pytest.raises(Unreachable) as found:
        Reply(200, {}, f"{'x' * 70}{SECRET}".encode()).json()

    assert SECRET[:9] not in str(found.value)


def test_the_text_of_an_answer_holds_nothing_that_no_table_can_keep():
    assert Reply(500, {}, b"no\x00 \xffroom").text == "no\ufffd \ufffdroom"


def test_an_answer_nested_without_end_is_no_json():
    with pytest.raises(Unreachable, match="is not JSON"):
        Reply(200, {}, b"[" * 100_000).json()


@pytest.mark.parametrize("kind", [Unreachable, Rejected])
def test_no_error_of_the_outside_carries_it(kind):
    error = kind(Sentence("It said: %(said)s %(status)s", {"said": f"<{SECRET}>", "status": 403}))

    assert str(error) == "It said: <[secret]> 403"
    assert error.detail.parts["status"] == 403


def test_the_body_kept_with_a_refusal_holds_none_even_where_it_is_cut():
    assert "canary" not in Rejected("No.", body="x" * 1990 + SECRET).body


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "99999999999999999999"}, LONGEST_REST),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT", "date": "Fri, 20 Nov 2026 12:00:00 GMT"}, 30),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT", "date": "Fri, 20 Nov 2026 13:00:00 GMT"}, 0),
        ({"retry-after": "Fri, 20 Nov 2026 12:00:30 GMT"}, 0),
        ({"retry-after": "soon", "date": "Fri, 20 Nov 2026 13:00:00 GMT"}, 0),
        ({"retry-after": "-5"}, 0),
        ({}, 0),
    ],
)
def test_how_long_the_outside_asks_to_be_left_alone_is_read_by_its_own_clock(headers, seconds):
    assert Reply(503, headers, b"").retry_after == seconds


@pytest.mark.parametrize("body", [b'{"a":1,"a":2}', b'[{"b":{"a":1,"c":2,"a":1}}]'])
def test_a_name_that_stands_twice_in_one_object_proves_nothing(body):
    with pytest.raises(Unreachable):
        Reply(200, {}, body).json()
