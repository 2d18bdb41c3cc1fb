"""What change requests do to the places of the catalog: what is on its way there, and what was last taken back."""

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Max, QuerySet

from releases.catalog.kinds import Place
from releases.changes.back import splits_of
from releases.changes.models import Item
from releases.changes.states import RUNNING, Outcome, State

# Of several changes in one place the one that is furthest along is shown.
AHEAD = (
    State.ASSESSING,
    State.AUTHORIZING,
    State.SCHEDULED,
    State.WATCHING,
    State.IMPLEMENTING,
    State.ROLLING_BACK,
)


@dataclass(frozen=True, slots=True)
class PlacedCard:
    """One item of a change, where it goes: ``splits`` is how traffic stood before it, by route and target."""

    number: int
    state: State
    version: str
    digest: str
    back_digest: str
    splits: Mapping[UUID, Mapping[str, int]]

    @property
    def name(self) -> str:
        """Return what people call the change."""
        return f"CHG-{self.number}"

    @property
    def is_moving(self) -> bool:
        """Say whether it is being released, watched or taken back."""
        return self.state in RUNNING


def on_the_way() -> dict[Place, PlacedCard]:
    """Return, place by place, the change that is furthest along between assessment and the end of its watch."""
    rows = _rows().filter(change__state__in=AHEAD)
    by_progress = sorted(rows, key=lambda item: (AHEAD.index(State(item.change.state)), -item.change.number))
    return {item.place: _card(item) for item in by_progress}


def taken_back() -> dict[Place, PlacedCard]:
    """Return, place by place, the last change that was rolled back there."""
    rolled_back = Item.objects.filter(change__outcome=Outcome.ROLLED_BACK)
    last = rolled_back.values("service", "environment").annotate(last=Max("change__number")).order_by()
    numbers = {row["last"] for row in last}
    rows = _rows().filter(change__number__in=numbers).order_by("change__number")
    return {item.place: _card(item) for item in rows}


def _rows() -> QuerySet[Item]:
    return Item.objects.select_related("change", "artifact", "way_back__target_artifact")


def _card(item: Item) -> PlacedCard:
    back = item.way_back
    return PlacedCard(
        number=item.change.number,
        state=State(item.change.state),
        version=item.artifact.version,
        digest=item.artifact.digest,
        back_digest=back.target_artifact.digest if back.target_artifact else "",
        splits=splits_of(back.traffic_snapshot),
    )
