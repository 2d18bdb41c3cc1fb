"""How often one may try to prove who one is, and how long one waits then. Knows no table.

A browser in which this account signed in before is known to it and has a counter of its own. So nobody who guesses
from elsewhere locks a person out of the browsers they use, and a known browser saves nobody from being counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from types import MappingProxyType

from releases.core.errors import Refused, Sentence
from releases.core.words import plural


class Proof(StrEnum):
    """What is tried."""

    CODE = "code"
    PASSKEY = "passkey"
    PASSWORD = "password"


class Per(StrEnum):
    """What a counter belongs to: an address, an account at an address, an account, a browser known to an account."""

    ACCOUNT = "account"
    ADDRESS = "address"
    BROWSER = "browser"
    PAIR = "pair"


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries within so long."""

    per: Per
    tries: int
    within: timedelta


_MINUTES = timedelta(minutes=1)

# A code has a million values, of which three are right: 20 an hour leave a guesser 1 in 700 after a whole day.
STRANGERS: Mapping[Proof, tuple[Limit, ...]] = MappingProxyType(
    {
        Proof.PASSWORD: (
            Limit(Per.PAIR, 5, 5 * _MINUTES),
            Limit(Per.ADDRESS, 30, 10 * _MINUTES),
            Limit(Per.ACCOUNT, 100, 60 * _MINUTES),
        ),
        Proof.CODE: (Limit(Per.PAIR, 5, 5 * _MINUTES), Limit(Per.ACCOUNT, 20, 60 * _MINUTES)),
        Proof.PASSKEY: (Limit(Per.ADDRESS, 30, 10 * _MINUTES),),
    }
)
KNOWN: tuple[Limit, ...] = (Limit(Per.BROWSER, 5, 5 * _MINUTES), Limit(Per.BROWSER, 20, 60 * _MINUTES))
LONGEST = max(limit.within for limits in (*STRANGERS.values(), KNOWN) for limit in limits)

WAIT = plural(
    "Too many tries failed. Wait %(minutes)s minute, then try again.",
    "Too many tries failed. Wait %(minutes)s minutes, then try again.",
    by="minutes",
)


class TooMany(Refused):
    """Too many tries failed; ``until`` is when the next one counts."""

    code = "too_many_tries"
    status = 429

    def __init__(self, until: datetime, *, now: datetime) -> None:
        """Say it in whole minutes, never in fewer than there are."""
        self.until = until
        self.seconds = max(1, int((until - now).total_seconds()) + 1)
        minutes = -(-self.seconds // 60)
        super().__init__(Sentence(WAIT, {"minutes": minutes}))


def limits_of(proof: Proof, *, is_known: bool) -> tuple[Limit, ...]:
    """Return what holds for this kind of proof; a browser known to the account counts by itself."""
    return KNOWN if is_known else STRANGERS[proof]


def free_again_at(
    limits: Iterable[Limit], tries: Mapping[Per, Sequence[datetime]], *, now: datetime
) -> datetime | None:
    """Return when one more try is allowed, ``None`` when it is now; ``tries`` are the moments of failed ones."""
    waits = []
    for limit in limits:
        recent = sorted(at for at in tries.get(limit.per, ()) if at > now - limit.within)
        if len(recent) >= limit.tries:
            waits.append(recent[-limit.tries] + limit.within)
    return max(waits, default=None)
