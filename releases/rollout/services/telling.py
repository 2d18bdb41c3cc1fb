"""What the verbs of a release share: its story in the change's, and how they refuse."""

from typing import Any

from releases.audit import services as audit
from releases.audit.actor import Actor
from releases.audit.kinds import Kind
from releases.changes.models import ChangeRequest
from releases.core.errors import Reason, Refused, Sentence


def tell(kind: Kind, change: ChangeRequest, actor: Actor, *, reason: str = "", outcome: str = "", **more: Any) -> None:
    """Add an event to the change's story, inside the caller's transaction."""
    data = {"number": change.number, "state": change.state, "outcome": outcome, **more}
    audit.record(stream=change.stream, kind=kind, actor=actor, data=data, text={"reason": reason} if reason else {})


def refused(code: str, sentence: Sentence) -> Refused:
    """Return the refusal with its one reason."""
    return Refused(sentence, reasons=[Reason(code, sentence)])
