"""What a look at a route leaves behind."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from releases.core.errors import Sentence
from releases.traffic.ports import Reading

STEP_KIND, FINISH_KIND = "traffic.shift", "traffic.finish"
MOVERS = (STEP_KIND, FINISH_KIND)  # while one of these is under way, the weights of its route move


@dataclass(frozen=True, slots=True)
class Seen:
    """One look: weights as they count, the object's revision and uid, its owner, and who wrote it last.

    ``consequence`` is what the owner does with a shift of ours. ``why`` says why nothing was seen; then the rest is
    empty.
    """

    weights: Mapping[str, int] = field(default_factory=dict)
    revision: str = ""
    uid: str = ""
    owner: str = ""
    consequence: Sentence | None = None
    writer: str = ""
    written_at: datetime | None = None
    why: Sentence | None = None

    @classmethod
    def in_reading(cls, reading: Reading) -> "Seen":
        """Return what a reading says."""
        owner, writer = reading.owner, reading.writer
        return cls(
            weights=reading.weights,
            revision=reading.version.token,
            uid=reading.version.uid,
            owner=owner.system if owner else "",
            consequence=owner.consequence if owner else None,
            writer=writer.name if writer else "",
            written_at=writer.at if writer else None,
        )

    def as_facts(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "weights": dict(self.weights),
            "revision": self.revision,
            "uid": self.uid,
            "owner": self.owner,
            "consequence": self.consequence.as_json() if self.consequence else {},
            "writer": self.writer,
            "written_at": self.written_at.isoformat() if self.written_at else "",
        }

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> "Seen":
        """Read what :meth:`as_facts` wrote."""
        said, at = facts["consequence"], facts["written_at"]
        return cls(
            weights=facts["weights"],
            revision=facts["revision"],
            uid=facts["uid"],
            owner=facts["owner"],
            consequence=Sentence.from_json(said) if said else None,
            writer=facts["writer"],
            written_at=datetime.fromisoformat(at) if at else None,
        )
