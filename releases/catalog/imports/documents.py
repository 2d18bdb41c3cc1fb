"""Read YAML documents; what cannot be read names file, document and field. Nothing here writes."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import yaml

from releases.core.errors import Invalid, Sentence
from releases.core.words import mark as _

LARGEST_FILE = 1024 * 1024
_DEEPEST = 64
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same language; ten times as fast where libyaml is
_NOT_OBJECTS = frozenset({"kustomization.yaml", "kustomization.yml"})
_WORDS: dict[type, str] = {dict: "a mapping", list: "a list", str: "a text (quote it)"}
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document: its file relative to the folder, its number counted from 1, what it says."""

    file: str
    number: int
    body: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.file}, document {self.number}"

    @property
    def kind(self) -> str:
        """Return the kind of the object, empty when it names none."""
        kind = self.body.get("kind")
        return kind if isinstance(kind, str) else ""


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong, and where."""

    where: str
    field: str
    sentence: Sentence

    def __str__(self) -> str:
        return f"{self.where}, {self.field}: {self.sentence}"


class BadField(Exception):
    """One field of one document cannot be read."""

    def __init__(self, field: str, sentence: Sentence) -> None:
        """Keep the path of the field and what is wrong with it."""
        super().__init__(f"{field}: {sentence}")
        self.field, self.sentence = field, sentence


def refuse(problems: list[Problem]) -> None:
    """Raise when there are problems.

    :raises Invalid: with every problem, by file, document and field
    """
    if not problems:
        return
    fields: dict[str, list[Sentence | str]] = {}
    for one in problems:
        fields.setdefault(f"{one.where}, {one.field}", []).append(one.sentence)
    raise Invalid(
        Sentence(_("Nothing was imported. First problem: %(problem)s"), {"problem": str(problems[0])}), fields=fields
    )


def read_folder(folder: Path) -> tuple[list[Document], list[Problem]]:
    """Return every YAML document below a folder in the order of file names, and what could not be read.

    :raises Invalid: there is no such folder, or no YAML file in it
    """
    if not folder.is_dir():
        raise Invalid(Sentence(_("There is no folder %(folder)s."), {"folder": folder.name}))
    files = sorted(path for path in folder.rglob("*") if path.suffix in {".yaml", ".yml"} and path.is_file())
    if not files:
        raise Invalid(Sentence(_("The folder %(folder)s has no .yaml or .yml file."), {"folder": folder.name}))
    documents: list[Document] = []
    problems: list[Problem] = []
    for path in files:
        if path.name in _NOT_OBJECTS:
            continue
        for one in documents_in(_bytes_of(path), path.relative_to(folder).as_posix()):
            if isinstance(one, Document):
                documents.append(one)
            else:
                problems.append(one)
    return documents, problems


def pick(body: object, path: str, kind: type[T], default: T | None = None, *, at: str = "") -> T:
    """Return what stands at a dotted path; ``at`` is where the body itself stands, for the error.

    :raises BadField: it is missing and there is no default, or it is of another kind
    """
    here, name = body, at
    for key in path.split("."):
        name = f"{name}.{key}" if name else key
        here = here.get(key) if isinstance(here, dict) else None
        if here is None:
            break
    full = f"{at}.{path}" if at else path
    if here is None:
        if default is None:
            raise BadField(full, Sentence(_("This is missing.")))
        return default
    if not isinstance(here, kind):
        raise BadField(full, Sentence(_("This must be %(what)s."), {"what": _WORDS.get(kind, kind.__name__)}))
    return here


def _bytes_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(LARGEST_FILE + 1)


def documents_in(data: bytes, name: str) -> Iterator[Document | Problem]:
    """Yield every document of one file, and what cannot be read: plain YAML only, no aliases, tags or double keys.

    The file is looked through before anything is built of it, so that a small one cannot become large (an alias of an
    alias of an alias), and nothing in it chooses what is built.
    """
    if len(data) > LARGEST_FILE:
        yield Problem(f"{name}, document 1", "file", Sentence(_("The file is larger than 1 MiB.")))
        return
    number = 0
    try:
        text = data.decode("utf-8-sig")
        if trouble := _trouble(text):
            yield Problem(f"{name}, document {trouble[0]}", *trouble[1:])
            return
        for number, body in enumerate(yaml.load_all(text, Loader=_LOADER), start=1):
            if body is None:
                continue
            if not isinstance(body, dict) or not isinstance(body.get("kind"), str):
                sentence = Sentence(_("This is neither a Kubernetes object nor a Backstage entity: say its kind."))
                yield Problem(f"{name}, document {number}", "kind", sentence)
                continue
            yield Document(name, number, body)
    except UnicodeDecodeError:
        yield Problem(f"{name}, document {number + 1}", "file", Sentence(_("The file is not UTF-8.")))
    except yaml.YAMLError as error:
        yield Problem(f"{name}, document {number + 1}", *_said(error))
    except ValueError as error:  # a date without such a day, a number of thousands of figures
        sentence = Sentence(_("This is not YAML: %(said)s."), {"said": str(error).splitlines()[0][:80]})
        yield Problem(f"{name}, document {number + 1}", "syntax", sentence)


def _said(error: yaml.YAMLError) -> tuple[str, Sentence]:
    mark = getattr(error, "problem_mark", None)
    line = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "syntax"
    said = str(getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML")
    return line, Sentence(_("This is not YAML: %(said)s."), {"said": said})


def _trouble(text: str) -> tuple[int, str, Sentence] | None:
    """Return the document, the line and what is wrong with the first thing that is not plain data."""
    number, open_ones = 0, list[_Open]()
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            number += isinstance(event, yaml.DocumentStartEvent)
            if trouble := _trouble_of(event, open_ones):
                mark = event.start_mark
                return number, f"line {mark.line + 1}" if mark else "file", trouble
    except yaml.YAMLError as error:
        return max(number, 1), *_said(error)
    return None


def _trouble_of(event: Any, open_ones: "list[_Open]") -> Sentence | None:
    if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
        return Sentence(_("Anchors and aliases are not read: write out what is meant."))
    tag = getattr(event, "tag", None)
    if tag and tag != "!":
        return Sentence(_("Tags such as %(tag)s are not read: write plain values."), {"tag": tag[:80]})
    if isinstance(event, yaml.CollectionEndEvent):
        open_ones.pop()
    if not isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
        return None
    name = event.value if isinstance(event, yaml.ScalarEvent) else ""
    if open_ones and (double := open_ones[-1].takes(name)):
        return Sentence(_("“%(name)s” stands here twice: keep one."), {"name": double[:80]})
    if isinstance(event, yaml.CollectionStartEvent):
        open_ones.append(_Open(is_mapping=isinstance(event, yaml.MappingStartEvent)))
        if len(open_ones) > _DEEPEST:
            return Sentence(_("The file is nested too deeply."))
    return None


@dataclass
class _Open:
    """A mapping or list whose end was not read yet; of a mapping every second thing is a name."""

    is_mapping: bool
    is_name: bool = True
    names: set[str] = field(default_factory=set)

    def takes(self, name: str) -> str:
        """Take the next thing, and return its name when it stands here already."""
        if not self.is_mapping:
            return ""
        was_name, self.is_name = self.is_name, not self.is_name
        if not was_name or not name:
            return ""
        if name in self.names:
            return name
        self.names.add(name)
        return ""
