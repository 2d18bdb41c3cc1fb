"""What delivery needs from a CI system, in our words; no word of a vendor is here."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import wraps
from typing import Any, Protocol, TypeVar, cast

from releases.core.errors import Sentence, Unreachable
from releases.delivery.states import Act, State

Method = TypeVar("Method", bound=Callable[..., Any])


@dataclass(frozen=True, slots=True)
class Target:
    """A job and the parameters it gets; two of its parameters carry our key and the permit.

    ``job`` is the job's full name as the system writes it, folders included. ``options`` is what only this system
    understands, as the binding says it: how to start the job, or which of its own ways back to take; the preflight
    names what it does not understand. Nothing of ours is older than ``since``, so a search may end there.
    """

    job: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    key_parameter: str = "GMUD_CORRELATION"
    permit_parameter: str = "GMUD_PERMIT"
    options: Mapping[str, Any] = field(default_factory=dict)
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """Start this target once: ``key`` finds it again, whatever happens to the answer.

    ``in_time`` is called right before the one call that starts it, and raises once somebody else may send it.
    """

    key: str
    target: Target
    permit: str = field(default="", repr=False)
    in_time: Callable[[], None] = field(default=lambda: None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Handle:
    """Where an order stands at the remote; complete enough to look after a restart of ours.

    Without a ``key`` it is a run that others began: known by ``run`` alone, and no twin of it is looked for.

    ``ticket`` is what the system gave for it before it ran, ``run`` names the run itself; ``stop_asked`` stays once we
    wanted it to end.
    """

    key: str
    job: str
    key_parameter: str = "GMUD_CORRELATION"
    ticket: str = ""
    run: str = ""
    stop_asked: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Handle":
        """Read what :meth:`as_json` wrote; fields of a later version are ignored."""
        return cls(**{name: kept[name] for name in cls.__slots__ if name in kept})

    def moved(self, **changes: Any) -> "Handle":
        """Return it with some fields changed."""
        return replace(self, **changes)


@dataclass(frozen=True, slots=True)
class Hint:
    """Which run something may have happened to: by our key, its ticket, or its own name. The rest is looked up."""

    keys: frozenset[str] = frozenset()
    ticket: str = ""
    job: str = ""
    run: str = ""


@dataclass(frozen=True, slots=True)
class StageView:
    """One stage of the run: its name, its state, seconds it took so far (0 when not known)."""

    name: str
    state: State
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {"name": self.name, "state": self.state.value, "seconds": self.seconds}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One value that a job or a question takes; ``choices`` empty means any text."""

    name: str
    default: str = ""
    choices: tuple[str, ...] = ()
    is_required: bool = False
    is_secret: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        return {name: getattr(self, name) for name in self.__slots__} | {"choices": list(self.choices)}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Parameter":
        """Read what :meth:`as_json` wrote."""
        return cls(**{**kept, "choices": tuple(kept["choices"])})


@dataclass(frozen=True, slots=True)
class Question:
    """What a run waits to hear: go on or not; ``may_answer`` names who there may say it, anybody when empty."""

    id: str
    text: str
    may_answer: tuple[str, ...] = ()
    takes: tuple[Parameter, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        takes = [one.as_json() for one in self.takes]
        return {"id": self.id, "text": self.text, "may_answer": list(self.may_answer), "takes": takes}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Question":
        """Read what :meth:`as_json` wrote."""
        takes = tuple(Parameter.from_json(one) for one in kept["takes"])
        return cls(kept["id"], kept["text"], tuple(kept["may_answer"]), takes)


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody says to a question; ``note`` tells the system which human of ours it was, and why."""

    question: str
    goes_on: bool
    values: Mapping[str, str] = field(default_factory=dict)
    note: str = ""


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one look saw; ``progress`` is 0–0.99 while it runs, ``None`` when nobody can tell.

    ``left`` is how many seconds it probably still takes, by the system's own estimate. ``acts`` are what may be asked
    of it now.
    """

    state: State
    handle: Handle
    url: str = ""
    stages: tuple[StageView, ...] = ()
    why: Sentence | None = None
    progress: float | None = None
    is_stuck: bool = False
    left: float | None = None
    questions: tuple[Question, ...] = ()
    acts: frozenset[Act] = frozenset()


@dataclass(frozen=True, slots=True)
class LogPart:
    """A part of what a run printed; the next part begins at ``next``, and ``has_more`` says that one will come."""

    text: str = ""
    next: int = 0
    has_more: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """A run as the CI system tells of it afterwards: what it was really started with, and how it ended.

    ``ended_at`` is by the CI system's clock, ``None`` while it is under way.
    """

    name: str
    state: State
    parameters: Mapping[str, str]
    ended_at: datetime | None = None

    @property
    def is_over(self) -> bool:
        """Say whether nothing more comes of it."""
        return self.ended_at is not None


@dataclass(frozen=True, slots=True)
class Version:
    """A version that stood there; ``ref`` is how the system calls it: a run, a revision, a group of servers."""

    name: str
    ref: str
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """A job of the list, or a folder of jobs, by its full name."""

    name: str
    is_folder: bool = False


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a job can take our orders, with every reason why not."""

    reasons: tuple[Sentence, ...] = ()

    @property
    def is_ready(self) -> bool:
        """Say whether nothing stands against it."""
        return not self.reasons


def unknown_when_unreadable(text: str) -> Callable[[Method], Method]:
    """Return what keeps the promise below for a method: an answer of another shape is an outcome that is not known."""

    def keeping(method: Method) -> Method:
        @wraps(method)
        def read(*args: Any, **kwargs: Any) -> Any:
            try:
                return method(*args, **kwargs)
            except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as error:
                raise Unreachable(Sentence(text)) from error

        return cast(Method, read)

    return keeping


class DeliveryProvider(Protocol):
    """A CI system. Every failure is ``Unreachable`` (look before trying again) or ``Rejected`` (a clear no)."""

    def version(self) -> str:
        """Return which version of the system answers, after it took the account."""

    def jobs(self, folder: str = "") -> Sequence[Listed]:
        """Return the jobs and folders in a folder, as far as the account may read them."""

    def parameters(self, job: str) -> Sequence[Parameter]:
        """Return the parameters a job takes.

        :raises Rejected: there is no such job
        """

    def preflight(self, target: Target) -> Readiness:
        """Say whether the job exists, can be built and takes our parameters."""

    def chosen(self, target: Target) -> Mapping[str, Any]:
        """Return the options of a target, with what they leave open chosen now, so that each sending asks the same.

        :raises Rejected: there is nothing to choose
        """

    def start(self, order: Order) -> Sighting:
        """Start the job once; safe to repeat with the same key."""

    def find(self, target: Target, key: str) -> Sighting:
        """Look for an order by its key; ``NOT_FOUND`` only when it is certainly not there."""

    def look(self, handle: Handle) -> Sighting:
        """Look at an order once."""

    def log(self, handle: Handle, start: int = 0) -> LogPart:
        """Return what the run printed from ``start`` on, at most one part; empty where the system keeps no log."""

    def runs(self, target: Target) -> Sequence[Run]:
        """Return the newest runs of the job, whoever started them, newest first."""

    def versions(self, target: Target) -> Sequence[Version]:
        """Return what stood there, newest first: the first stands there now, going back leads to the second."""

    def act(self, handle: Handle, act: Act) -> Sighting:
        """Ask that of it, and look; whether it came to pass is for the next looks to say.

        :raises Rejected: the system cannot do that, or the account may not ask for it
        """

    def answer(self, handle: Handle, answer: Answer) -> Sighting:
        """Answer one of its questions, and look: the question is gone, or this raises.

        Safe to repeat: a question that is no longer open is not answered again.

        :raises Rejected: the answer did not take, or the account may not give it
        """
