"""Read the YAML documents of a folder; what cannot be read names file, document and field. Nothing here writes."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from releases.core.errors import Invalid, Sentence
from releases.core.words import mark as _

LARGEST_FILE = 1024 * 1024
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
        for one in _read_file(path, path.relative_to(folder).as_posix()):
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


def _read_file(path: Path, name: str) -> Iterator[Document | Problem]:
    if path.stat().st_size > LARGEST_FILE:
        yield Problem(f"{name}, document 1", "file", Sentence(_("The file is larger than 1 MiB.")))
        return
    number = 0
    try:
        for number, body in enumerate(yaml.safe_load_all(path.read_text(encoding="utf-8")), start=1):
            if body is None:
                continue
            if not isinstance(body, dict) or not isinstance(body.get("kind"), str):
                yield Problem(f"{name}, document {number}", "kind", Sentence(_("This is no Kubernetes object.")))
                continue
            yield Document(name, number, body)
    except UnicodeDecodeError:
        yield Problem(f"{name}, document {number + 1}", "file", Sentence(_("The file is not UTF-8.")))
    except RecursionError:
        yield Problem(f"{name}, document {number + 1}", "file", Sentence(_("The file is nested too deeply.")))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "syntax"
        said = str(getattr(error, "problem", None) or "not YAML")
        yield Problem(
            f"{name}, document {number + 1}", line, Sentence(_("This is not YAML: %(said)s."), {"said": said})
        )
