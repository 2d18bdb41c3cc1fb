"""Some systems repeat in their errors what they were shown: nothing of it comes in."""

import pytest

from releases.core import redaction
from releases.core.errors import Rejected, Sentence, Unreachable
from releases.core.http import Reply

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
