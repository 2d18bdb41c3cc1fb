"""How a version stood somewhere: since when, until when, after a change of ours released it there and it went well.

Written by GMUD itself and read from its own tables: nobody outside is asked, and nobody can say it over an interface.
What counts is strict, because a later environment relies on it:

- The last change that began to release exactly this artifact there decides. It must be over: its watch has ended, and
  neither it nor its review says that it failed or was rolled back. While it is under way nothing is known yet.
- A rollout of ours must have ended well. Without any, people released it by their own means: then the run that did it
  must have redeemed a permit of the gate for exactly this artifact there.
- What did not end well, or what nobody saw, counts only when a person has closed the review and calls the change
  successful.
- What ran there without an authorized change (found there, put there by hand, reported afterwards) does not count.
- The time begins when that change was deployed. Where another version took its place the time ends; when that one was
  taken back, it begins anew.
"""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from uuid import UUID

from releases.audit import queries as audit
from releases.audit.kinds import Kind
from releases.catalog.kinds import Place
from releases.catalog.models import Running
from releases.changes.models import ChangeRequest, Item
from releases.changes.rules import Stay
from releases.changes.states import RUNNING, ChangeType, Outcome, State
from releases.operations import queries as operations
from releases.operations.states import OperationState

BEGUN = RUNNING | {State.REVIEWING, State.CLOSED}
WELL = frozenset({Outcome.SUCCESSFUL, Outcome.SUCCESSFUL_WITH_ISSUES})
Version = tuple[Place, str]
"""A place and the digest of an artifact."""


def stays_of(
    versions: Iterable[Version], *, permitted: Collection[tuple[UUID, Version]]
) -> dict[Version, tuple[Stay, ...]]:
    """Return how each of these versions stood in its place, oldest first; nothing where it was not released well.

    ``permitted`` says of which change a permit to deploy which version was redeemed: the gate, above, knows.
    """
    wanted = frozenset(versions)
    if not wanted:
        return {}
    last = _last_changes(wanted)
    found: dict[Version, tuple[Stay, ...]] = dict.fromkeys(wanted, ())
    for version, runs in _runs(wanted).items():
        change = last.get(version)
        if change is not None and _went_well(change, is_permitted=(change.pk, version) in permitted):
            own = (at for at, run in enumerate(runs) if run.change_number == change.number)
            begins = next(own, len(runs))
            found[version] = tuple(Stay(run.since_at, run.ended_at) for run in runs[begins:])
    return found


def _last_changes(wanted: frozenset[Version]) -> Mapping[Version, ChangeRequest]:
    """Return the change that began to release each version last, whatever became of it."""
    items = Item.objects.filter(
        **_in_places(wanted),
        artifact__digest__in={digest for _place, digest in wanted},
        change__state__in=BEGUN,
    ).exclude(change__type=ChangeType.RETROACTIVE)
    rows = list(items.select_related("change", "artifact"))
    told = audit.stories({item.change.stream for item in rows}, (Kind.CHANGE_STARTED,))
    begun = {stream: events[0].at for stream, events in told.items()}

    def began(item: Item) -> tuple[datetime, int]:
        change = item.change
        return begun.get(change.stream) or change.starts_at or change.created_at, change.number

    return {(item.place, item.artifact.digest): item.change for item in sorted(rows, key=began)}


def _runs(wanted: frozenset[Version]) -> Mapping[Version, list[Running]]:
    rows = Running.objects.filter(
        **_in_places(wanted), artifact__digest__in={digest for _place, digest in wanted}
    ).select_related("artifact")
    found: dict[Version, list[Running]] = {}
    for row in rows.order_by("since_at", "pk"):
        found.setdefault(((row.service_id, row.environment_id), row.artifact.digest), []).append(row)
    return {version: runs for version, runs in found.items() if version in wanted}


def _in_places(wanted: frozenset[Version]) -> dict[str, set[UUID]]:
    return {
        "service_id__in": {place[0] for place, _digest in wanted},
        "environment_id__in": {place[1] for place, _digest in wanted},
    }


def _went_well(change: ChangeRequest, *, is_permitted: bool) -> bool:
    if change.outcome:
        return change.state == State.CLOSED and change.outcome in WELL
    return change.state == State.REVIEWING and _watched_well(change, is_permitted=is_permitted)


def _watched_well(change: ChangeRequest, *, is_permitted: bool) -> bool:
    """Say whether the last work that held the change ended well; without any, whether the gate let somebody do it."""
    held = [one.state for one in operations.operations_of(change.pk) if one.target == change.stream]
    return held[0] == OperationState.SUCCEEDED if held else is_permitted
