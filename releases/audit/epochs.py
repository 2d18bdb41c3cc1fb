"""Epochs: a record restored from an older copy goes on under a new name, so that nobody takes it for a rewrite.

What the copy does not hold is lost, and the witness knows of it. To sign on under the same name would be to sign two
histories. So a new epoch begins: its first event says from where the record was restored, what the witness had seen by
then, who decided it and why. Of what the witness saw in older epochs, the part that was restored still counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from math import inf
from typing import Any

from releases.audit.merkle import EMPTY

FIRST = 1


@dataclass(frozen=True, slots=True)
class Sealed:
    """How far a record was sealed: epoch, number of events, and the root over them (hexadecimal)."""

    epoch: int
    size: int
    root: str


NOTHING = Sealed(0, 0, EMPTY.hex())  # a copy from before the first seal


@dataclass(frozen=True, slots=True)
class Beginning:
    """How an epoch began: after what of the record, and after what the witness had seen last."""

    epoch: int
    restored: Sealed
    witnessed: Sealed

    def as_json(self) -> dict[str, Any]:
        """Return it as the data of its event."""
        return asdict(self)


def read(data: Mapping[str, Any]) -> Beginning:
    """Return what the data of an event says.

    :raises KeyError: something is missing
    :raises TypeError: something is of another shape
    """
    return Beginning(int(data["epoch"]), Sealed(**data["restored"]), Sealed(**data["witnessed"]))


class Lineage:
    """The epochs that lead to the present one, and up to which size each of them still counts."""

    def __init__(self, beginnings: Iterable[Beginning] = ()) -> None:
        """Follow the restores back from the present epoch; epochs that were left on the way count nothing."""
        self.beginnings = {one.epoch: one for one in beginnings}
        self.current = max(self.beginnings, default=FIRST)
        self._bounds: dict[int, float] = {self.current: inf}
        epoch = self.current
        while (began := self.beginnings.get(epoch)) and began.restored.epoch < epoch:
            epoch = began.restored.epoch
            self._bounds[epoch] = began.restored.size

    def counts(self, sealed: Sealed) -> bool:
        """Tell whether what was sealed then is part of the present record, if all is well."""
        return sealed.size <= self.bound(sealed.epoch)

    def bound(self, epoch: int) -> float:
        """Return how many events of an epoch are part of the present record; infinite for the present one."""
        return self._bounds.get(epoch, 0)

    def is_ancestor(self, epoch: int) -> bool:
        """Tell whether the present epoch goes back to this one."""
        return epoch in self._bounds
