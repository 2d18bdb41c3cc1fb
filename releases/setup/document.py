"""Read one configuration file strictly: plain YAML, and of everything the line it stands on. Knows no table.

What two readers could read differently is refused: double names, anchors and aliases, tags, a second document. Words
mean what YAML 1.2 says: only ``true`` and ``false`` are yes and no, ``no`` is the text "no".
"""

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from releases.core.errors import Invalid, Sentence
from releases.core.redaction import redact
from releases.core.words import mark as _

LARGEST = 1024 * 1024
DEEPEST = 16
MOST_PROBLEMS = 50
LARGEST_NUMBER = 2**53 - 1
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,15})")
_DECIMAL = re.compile(r"[-+]?[0-9]+(\.[0-9]*)?([eE][-+]?[0-9]{1,3})?")
_WORDS: Mapping[str, object] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_LINE_SIGNS = "\n\t"
# The last word of a name under which people keep what nobody may read.
_SECRET = re.compile(
    r"(?:^|[^a-z])(?:token|password|passwd|passphrase|pwd|secret|credential|apikey|api_key|private_key|access_key)s?$"
)
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, where (``services[3].team``), on which line, and how to mend it."""

    path: str
    line: int
    sentence: Sentence

    @property
    def told(self) -> Sentence:
        """Say it with its line."""
        return Sentence(_("Line %(line)s: %(problem)s"), {"line": self.line, "problem": self.sentence})


class Unfit(Invalid):
    """The file cannot be applied, and nothing of it was; ``problems`` stand in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        """Name every problem by its path; of very many, the first."""
        self.problems = tuple(sorted(problems, key=lambda one: one.line))[:MOST_PROBLEMS]
        first, fields = self.problems[0], dict[str, list[Sentence | str]]()
        for one in self.problems:
            fields.setdefault(one.path, []).append(one.told)
        super().__init__(
            Sentence(
                _("Nothing was applied. Line %(line)s, %(path)s: %(problem)s"),
                {"line": first.line, "path": first.path, "problem": first.sentence},
            ),
            fields=fields,
        )


@dataclass(frozen=True, slots=True)
class Read:
    """What a file says, and on which line each part of it stands, by path."""

    said: Any
    lines: Mapping[str, int]

    def line(self, path: str) -> int:
        """Return the line of a path, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[: max(path.rfind("."), path.rfind("["), 0)]
        return self.lines.get(path, 1)


def read(text: str | bytes) -> Read:
    """Return what a file says.

    :raises Unfit: it is too large, too deep, not UTF-8, not plain YAML, or holds what is secret
    """
    size = len(text) if isinstance(text, bytes) else len(text.encode("utf-8", "surrogatepass"))
    if size > LARGEST:
        raise Unfit([Problem("file", 1, Sentence(_("The file is larger than 1 MiB: apply it in parts.")))])
    if isinstance(text, bytes):
        try:
            text = text.decode("utf-8")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            raise Unfit([Problem("file", line, Sentence(_("The file is not UTF-8: save it as UTF-8.")))]) from error
    reader = _Reader(text.removeprefix("\ufeff"))
    try:
        said = reader.document()
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        why = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML")
        sentence = Sentence(_("This is not YAML (%(why)s): mend the line."), {"why": why})
        line = min(mark.line, text.rstrip("\n").count("\n")) + 1 if mark else 1  # what is missing is missed at the end
        raise Unfit([*reader.problems, Problem("file", line, sentence)]) from error
    if reader.problems:
        raise Unfit(reader.problems)
    return Read(said, reader.lines)


def is_secret_name(name: str) -> bool:
    """Say whether a name promises a secret: its last word is token, password, secret or the like."""
    return _SECRET.search(_HUMPS.sub("_", name).replace("-", "_").casefold()) is not None


def holds_secret(value: object) -> bool:
    """Say whether a value has a name in it that promises a secret, or a secret that this house knows."""
    if isinstance(value, Mapping):
        return any(is_secret_name(str(name)) or holds_secret(one) for name, one in value.items())
    if isinstance(value, list):
        return any(holds_secret(one) for one in value)
    return isinstance(value, str) and redact(value) != value


class _Reader:
    """Goes through the events of the parser, never deeper than allowed, so that no file can make it grow."""

    def __init__(self, text: str) -> None:
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=yaml.CSafeLoader))
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []

    def document(self) -> Any:
        said: Any = None
        documents = 0
        for event in self.events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self.stop("file", event, Sentence(_("The file holds a second document: write one only.")))
                said = self.node(next(self.events), "", 0)
        return said

    def stop(self, path: str, event: Any, sentence: Sentence) -> None:
        """Give up at once: what comes after cannot be read safely."""
        raise Unfit([*self.problems, Problem(path or "file", event.start_mark.line + 1, sentence)])

    def say(self, path: str, event: Any, sentence: Sentence) -> None:
        self.problems.append(Problem(path, event.start_mark.line + 1, sentence))

    def plain(self, path: str, event: Any) -> None:
        if isinstance(event, yaml.AliasEvent) or event.anchor:
            self.stop(path, event, Sentence(_("Anchors and aliases (& and *) are not read: write it out.")))
        if event.tag:
            self.stop(path, event, Sentence(_("Tags (!) are not read: leave it out.")))

    def node(self, event: Any, path: str, depth: int) -> Any:
        self.plain(path, event)
        self.lines[path] = event.start_mark.line + 1
        if depth > DEEPEST:
            text = _("This is nested deeper than %(n)s levels: make it flatter.")
            self.stop(path, event, Sentence(text, {"n": DEEPEST}))
        if isinstance(event, yaml.MappingStartEvent):
            return self.mapping(path, depth)
        if isinstance(event, yaml.SequenceStartEvent):
            return self.sequence(path, depth)
        return self.scalar(event, path)

    def mapping(self, path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            if not isinstance(event, yaml.ScalarEvent):
                self.stop(path, event, Sentence(_("A name is a plain text: write name: value.")))
            self.plain(path, event)
            name = event.value
            inner = f"{path}.{name}" if path else name
            if name in found:
                text = _("“%(name)s” stands here twice: keep one of them.")
                self.say(inner, event, Sentence(text, {"name": name[:80]}))
            if is_secret_name(name):
                text = _("No secret belongs into this file: take “%(name)s” out, and type the secret on its page.")
                self.say(inner, event, Sentence(text, {"name": name[:80]}))
            found[name] = self.node(next(self.events), inner, depth + 1)
            self.lines[inner] = event.start_mark.line + 1
        return found

    def sequence(self, path: str, depth: int) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            found.append(self.node(event, f"{path}[{len(found)}]", depth + 1))
        return found

    def scalar(self, event: Any, path: str) -> Any:
        text: str = event.value
        if any(unicodedata.category(sign) in {"Cc", "Cs"} and sign not in _LINE_SIGNS for sign in text):
            self.say(path, event, Sentence(_("There is a sign in it that nobody can see: type the text again.")))
        if redact(text) != text:
            self.say(path, event, Sentence(_("This is a secret that GMUD keeps: take it out of the file.")))
        if not event.implicit[0]:  # quoted: a text, whatever it looks like
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _WHOLE.fullmatch(text) and abs(int(text)) <= LARGEST_NUMBER:
            return int(text)
        if _DECIMAL.fullmatch(text) and any(sign in text for sign in ".eE"):
            return self.decimal(event, path)
        return text

    def decimal(self, event: Any, path: str) -> float:
        number = float(event.value)
        if not math.isfinite(number):
            self.say(path, event, Sentence(_("This number is too large: write it smaller.")))
        return number
