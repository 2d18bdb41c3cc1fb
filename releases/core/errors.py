"""Every error a caller may meet, as one tree.

::

    GmudError                code, HTTP status
      Invalid                the input cannot be read; names fields             400
      Missing                there is no such thing                             404
      Refused                the rules say no; carries every reason             409
        Stale                somebody moved it first                            409
      NotPermitted           this person or machine may not                     403
      External               the outside failed                                 502
        Unreachable          no answer, outcome unknown, look first
        Rejected             a clear no, do not repeat
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from releases.core.redaction import redact
from releases.core.words import counted


@dataclass(frozen=True, slots=True)
class Sentence:
    """One translatable sentence: a catalogue key with named parts, e.g. ``Sentence(_("%(n)s open"), {"n": 3})``.

    ``text`` is marked with :func:`releases.core.words.mark` where it is written, so that it is collected for
    translation, or with :func:`~releases.core.words.plural` when a number in it changes the words; whoever shows it
    translates it. ``str()`` gives the English one.
    """

    text: str
    parts: Mapping[str, object] = field(default_factory=dict)

    def __str__(self) -> str:
        """Return the sentence in English."""
        forms = counted(self.text, self.parts)
        text = forms[0] if forms and forms[1] != 1 else self.text
        return text % {name: _said(part) for name, part in self.parts.items()} if self.parts else text

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON; a sentence inside it stays one, anything else but a number becomes text."""
        return {"text": self.text, "parts": {name: _kept(part) for name, part in self.parts.items()}}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Sentence":
        """Read what :meth:`as_json` wrote."""
        parts = kept.get("parts", {})
        told = {name: cls.from_json(part) if isinstance(part, Mapping) else part for name, part in parts.items()}
        return cls(str(kept["text"]), told)

    @classmethod
    def of_all(cls, sentences: Sequence["Sentence"]) -> "Sentence":
        """Return several sentences as one, one after the other.

        :raises ValueError: there is none
        """
        first, *others = sentences
        return cls("%(first)s %(then)s", {"first": first, "then": cls.of_all(others)}) if others else first


def _kept(part: object) -> object:
    if isinstance(part, Sentence):
        return part.as_json()
    return part if isinstance(part, int | float) else str(part)


def _said(part: object) -> object:
    """Return a part as it stands in the English sentence: one of several as "a, b or c"."""
    if not isinstance(part, list | tuple):
        return part
    *some, last = [str(one) for one in part] or [""]
    return f"{', '.join(some)} or {last}" if some else last


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is refused or must wait: a stable code, a sentence, the way out, and until when it holds."""

    code: str
    message: Sentence
    fix: Sentence | None = None
    until: datetime | None = None
    severity: str = "stop"


def leading(reasons: Sequence[Reason]) -> Reason:
    """Return the reason to name first: what holds it up comes before what only warns."""
    return next((one for one in reasons if one.severity != "warn"), reasons[0])


class GmudError(Exception):
    """A failure that callers are expected to meet; the doors turn it into a page or a problem document."""

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500

    def __init__(self, detail: Sentence | str, *, reasons: Sequence[Reason] = ()) -> None:
        """Keep the sentence for people and the reasons for everybody."""
        self.detail = detail if isinstance(detail, Sentence) else Sentence(detail)
        self.reasons = tuple(reasons)
        super().__init__(str(self.detail))


class Invalid(GmudError):
    """The input cannot be read; ``fields`` maps each field to its sentences."""

    code = "invalid"
    status = 400

    def __init__(self, detail: Sentence | str, *, fields: Mapping[str, Sequence[Sentence | str]] | None = None) -> None:
        """Keep the fields beside the sentence."""
        super().__init__(detail)
        self.fields = {
            name: [one if isinstance(one, Sentence) else Sentence(one) for one in many]
            for name, many in (fields or {}).items()
        }


class Missing(GmudError):
    """There is no such thing, or the caller may not know of it."""

    code = "not_found"
    status = 404


class Refused(GmudError):
    """The rules say no, with every reason."""

    code = "refused"
    status = 409


class Stale(Refused):
    """Somebody moved it first: look again, then decide."""

    code = "stale"


class NotPermitted(GmudError):
    """This person or machine may not do this."""

    code = "not_permitted"
    status = 403


class External(GmudError):
    """An outside system failed; what it said is kept without the secrets it may repeat."""

    code = "external"
    status = 502
    after_seconds: float = 0.0

    def __init__(self, detail: Sentence | str) -> None:
        """Keep the sentence, which people read and tables store."""
        said = detail if isinstance(detail, Sentence) else Sentence(detail)
        parts = {name: redact(part) if isinstance(part, str) else part for name, part in said.parts.items()}
        super().__init__(Sentence(redact(said.text), parts))


class Unreachable(External):
    """No answer, or none that can be trusted: the outcome is unknown, look before trying again.

    ``after_seconds`` is how long the outside asked to be left alone; 0 when it did not.
    """

    code = "unreachable"

    def __init__(self, detail: Sentence | str, *, after_seconds: float = 0.0) -> None:
        """Keep the wish of the outside beside the sentence."""
        super().__init__(detail)
        self.after_seconds = after_seconds


class Rejected(External):
    """A clear no from the outside: do not repeat. ``http_status`` is the outside's own, 0 when there was none."""

    code = "rejected"

    def __init__(self, detail: Sentence | str, *, http_status: int = 0, body: str = "") -> None:
        """Keep the vendor's status and the beginning of its answer."""
        super().__init__(detail)
        self.http_status = http_status
        self.body = redact(body)[:2000]
