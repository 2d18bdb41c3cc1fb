"""Who is called when nobody takes a page."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from releases.accounts.roles import Role
from releases.notify.facts import Rung
from releases.notify.states import NoticeState

LADDER = (Role.ON_CALL, Role.RELEASE_MANAGER, Role.OWNER)
"""Rung by rung; the first one also has whoever the topic names."""


def next_rung(told: Sequence[Rung], *, now: datetime, wait: timedelta) -> int | None:
    """Return the rung to be called now, or ``None``: nobody yet, nobody more, or somebody took it.

    A rung has its time to answer from when it was told; one that nothing reached has none.
    """
    if not told or any(one.state is NoticeState.ACKNOWLEDGED for one in told):
        return None
    highest = max(one.rung for one in told)
    there = [one for one in told if one.rung == highest]
    reached = any(one.state is not NoticeState.FAILED for one in there)
    has_time = reached and now < max(one.told_at for one in there) + wait
    return None if has_time or highest + 1 >= len(LADDER) else highest + 1
