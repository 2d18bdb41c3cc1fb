"""How often one may try, and how long one waits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.accounts.limits import KNOWN, LONGEST, STRANGERS, Limit, Per, Proof, TooMany, free_again_at, limits_of
from releases.accounts.rules import Visitor, device_of

NOW = datetime(2026, 9, 15, 13, 30, tzinfo=UTC)
FIVE = Limit(Per.PAIR, 5, timedelta(minutes=5))


def ago(*seconds: float) -> list[datetime]:
    return [NOW - timedelta(seconds=one) for one in seconds]


def test_below_the_limit_nobody_waits():
    assert free_again_at([FIVE], {Per.PAIR: ago(1, 2, 3, 4)}, now=NOW) is None
    assert free_again_at([FIVE], {}, now=NOW) is None


def test_at_the_limit_one_waits_until_the_first_of_the_last_five_is_old():
    tries = {Per.PAIR: ago(290, 200, 100, 50, 10)}
    assert free_again_at([FIVE], tries, now=NOW) == NOW + timedelta(seconds=10)


def test_what_is_old_counts_no_longer_to_the_second():
    assert free_again_at([FIVE], {Per.PAIR: ago(300, 4, 3, 2, 1)}, now=NOW) is None
    assert free_again_at([FIVE], {Per.PAIR: ago(299.9, 4, 3, 2, 1)}, now=NOW) is not None


def test_of_two_limits_the_longer_wait_holds():
    slow = Limit(Per.PAIR, 5, timedelta(hours=1))
    assert free_again_at([FIVE, slow], {Per.PAIR: ago(290, 200, 100, 50, 10)}, now=NOW) == NOW + timedelta(seconds=3310)


def test_a_counter_counts_only_its_own():
    assert free_again_at([FIVE], {Per.ADDRESS: ago(1, 2, 3, 4, 5, 6)}, now=NOW) is None


@given(st.lists(st.integers(0, 400), max_size=40))
def test_after_the_wait_one_more_try_is_always_allowed_and_not_before(seconds):
    tries = {Per.PAIR: ago(*seconds)}
    until = free_again_at([FIVE], tries, now=NOW)
    if until is None:
        assert sum(one < 300 for one in seconds) < 5
    else:
        assert NOW < until <= NOW + FIVE.within
        assert free_again_at([FIVE], tries, now=until) is None
        assert free_again_at([FIVE], tries, now=until - timedelta(microseconds=1)) is not None


@pytest.mark.parametrize("proof", Proof)
def test_every_proof_has_limits_and_a_known_browser_its_own(proof):
    assert STRANGERS[proof]
    assert limits_of(proof, is_known=True) == KNOWN
    assert {limit.per for limit in KNOWN} == {Per.BROWSER}
    assert max(limit.within for limit in STRANGERS[proof]) <= LONGEST


def test_a_day_of_guessing_codes_leads_nowhere():
    (hourly,) = [one for one in STRANGERS[Proof.CODE] if one.per is Per.ACCOUNT]
    a_day = hourly.tries * (timedelta(days=1) / hourly.within)
    assert a_day * 3 / 1_000_000 < 1 / 600


@pytest.mark.parametrize(("seconds", "said"), [(0.4, "1 minute,"), (60, "2 minutes,"), (59, "1 minute,")])
def test_the_wait_is_said_in_minutes_never_too_short(seconds, said):
    error = TooMany(NOW + timedelta(seconds=seconds), now=NOW)
    assert said in str(error)
    assert error.seconds >= seconds
    assert error.status == 429


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.8", False),
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("::ffff:203.0.113.7", "203.0.113.7", True),
        ("::ffff:203.0.113.7", "::ffff:203.0.113.8", False),
        ("", "", True),
    ],
)
def test_whoever_owns_a_network_of_ipv6_is_one_place(one, other, same):
    assert (Visitor(address=one).network == Visitor(address=other).network) is same


@pytest.mark.parametrize(
    ("said", "device"),
    [
        ("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox, Linux"),
        ("Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge, Windows"),
        ("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome, Android"),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) Version/18.0 Safari/604.1", "Safari, iPhone"),
        ("Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15) Version/18.0 Safari/605.1", "Safari, macOS"),
        ("curl/8.0", ""),
        ("", ""),
    ],
)
def test_a_browser_is_called_by_its_name(said, device):
    assert device_of(said) == device
