"""The history of one thing, told from the record: who did what, newest first."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from releases.accounts import queries as accounts
from releases.audit import queries as audit
from releases.audit.kinds import Kind
from releases.web import telling
from releases.web.looks import Told

MOST = 50
# Who signed in when is between that person and the audit page; here it would bury what was changed.
COMING_AND_GOING = frozenset({Kind.SESSION_PROVED, Kind.SESSION_REFUSED, Kind.SESSION_STARTED})
PEOPLE = ("person", "to", "from", "owner", "member")  # what events call a person's id


def history(streams: Iterable[str], events: Iterable[audit.Entry] = ()) -> tuple[Told, ...]:
    """Return the newest of these streams and events together, with people called by their names."""
    found = [*events, *(one for stream in streams for one in audit.story(stream))]
    told = (one for one in found if one.kind not in COMING_AND_GOING and one.data.get("why") != "signed_out")
    entries = sorted(told, key=lambda one: (one.at, one.version))
    return told_of(entries[: -MOST - 1 : -1])


def told_of(entries: Iterable[audit.Entry]) -> tuple[Told, ...]:
    """Return one line for each event, in the same order, with people called by their names."""
    entries = list(entries)
    names = _names(one.data for one in entries)
    return tuple(
        Told(
            at=one.at,
            text=telling.tell(kind=one.kind, who=one.actor_name, data={**one.data, **_named(one.data, names)}),
            said=one.text.get("reason", ""),
        )
        for one in entries
    )


def _names(events: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    ids = {person for data in events for name in PEOPLE if (person := _uuid(data.get(name)))}
    return {str(one.id): one.name for one in accounts.people(ids).values()}


def _named(data: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, str]:
    return {name: names[str(data[name])] for name in PEOPLE if str(data.get(name)) in names}


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
