"""What an import would do, step by step: what files say against what is here. Writes nothing, asks no table."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from releases.catalog.imports.circles import ways_round
from releases.catalog.imports.here import Edit, Here, values_of
from releases.catalog.imports.said import Flaw, Key, Origin, Place, Reading, Said, Section
from releases.catalog.models import Customer, Service
from releases.core import canonical
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.core.words import plural

Rows = list[Service | Customer]
_SHOWN = 10
_STAY = plural(
    "%(n)s service that is here is not in the files, and stays: %(names)s.",
    "%(n)s services that are here are not in the files, and stay: %(names)s.",
    by="n",
)
_CLOSE = 0.8
# What is said of a service or a customer, in the order people read it; what names it is not.
_COMPARED: Mapping[Section, tuple[str, ...]] = {
    Section.SERVICES: ("team", "title", "tier", "criticality", "data_classes", "description"),
    Section.CUSTOMERS: ("segment", "size", "notice_hours", "services"),
}


class Act(StrEnum):
    """What happens to a thing; ``ask`` waits for a person and otherwise keeps."""

    ADD = "add"
    CHANGE = "change"
    ASK = "ask"
    KEEP = "keep"


class Answer(StrEnum):
    """What a person says to a conflict."""

    OURS = "ours"
    THEIRS = "theirs"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that changes."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Conflict:
    """One field that a person wrote here and a file says otherwise; nobody but a person decides."""

    id: str
    section: Section
    name: str
    field: str
    ours: Any
    theirs: Any
    edit: Edit
    place: Place


@dataclass(frozen=True, slots=True)
class Step:
    """One thing: what happens to it, which fields change at once, and which are asked."""

    section: Section
    name: str
    act: Act
    said: Said
    fields: tuple[Difference, ...] = ()
    asked: tuple[Conflict, ...] = ()
    note: Sentence | None = None

    @property
    def facts(self) -> list[Any]:
        """Return what two steps share only when they do the same."""
        fields = [[one.field, one.before, one.after] for one in self.fields]
        asked = [[one.id, one.ours, one.theirs, one.edit.by] for one in self.asked]
        return [self.section.value, list(self.said.key), self.act.value, fields, asked]

    def changes(self, answers: Mapping[str, Answer]) -> dict[str, Any]:
        """Return the fields that are written, once the conflicts are answered."""
        taken = {one.field: one.theirs for one in self.asked if answers.get(one.id) is Answer.THEIRS}
        return {**{one.field: one.after for one in self.fields}, **taken}


@dataclass(frozen=True, slots=True)
class Plan:
    """Every step, in the order they are taken; ``digest`` names exactly these steps and questions."""

    steps: tuple[Step, ...]
    forms: tuple[Sentence, ...] = ()
    left: tuple[Sentence, ...] = ()
    written: int = 0
    is_applied: bool = False

    @property
    def digest(self) -> str:
        """Return what two plans share only when they do the same."""
        return canonical.digest([one.facts for one in self.steps])

    @property
    def conflicts(self) -> tuple[Conflict, ...]:
        """Return every conflict."""
        return tuple(one for step in self.steps for one in step.asked)

    def count(self, act: Act) -> int:
        """Return how many steps are of a kind."""
        return sum(one.act is act for one in self.steps)

    @property
    def is_empty(self) -> bool:
        """Say whether nothing would be written, whatever is answered."""
        return all(one.act is Act.KEEP for one in self.steps)


def plan_of(
    reading: Reading,
    here: Here,
    *,
    default_team: str = "",
    edits_of: Callable[[Rows], Mapping[tuple[str, str], Edit]],
) -> tuple[Plan, list[Flaw]]:
    """Return what the files would do, and what no answer could mend.

    ``default_team`` owns new services of which no file says whose they are. ``edits_of`` tells which values of rows a
    person wrote; it is asked only for rows that a file says otherwise.
    """
    said, flaws = _once(reading.said)
    said = [_owned(one, here, default_team) for one in said]
    flaws += _flaws_of(said, here)
    said = [*_teams(said, here), *said]
    differing = [row for one in said if (row := here.row(one.section, one.key)) and _differences(one, row)]
    edits = edits_of(differing) if differing and not flaws else {}
    order = list(Section)
    steps = sorted((_step(one, here, edits) for one in said), key=lambda step: order.index(step.section))
    left = [*reading.left, *_left(said, here)]
    return Plan(tuple(steps), tuple(reading.forms), tuple(left)), flaws


def _once(said: Iterable[Said]) -> tuple[list[Said], list[Flaw]]:
    """Return each thing once, and a flaw for each that several places describe."""
    first: dict[tuple[Section, Key], Said] = {}
    flaws = []
    for one in said:
        before = first.setdefault((one.section, one.key), one)
        if before is not one:
            text = _("%(name)s was described before, in %(where)s: keep one of them.")
            flaws.append(one.flaw("name", Sentence(text, {"name": one.name, "where": before.place.told})))
    return list(first.values()), flaws


def _owned(one: Said, here: Here, default_team: str) -> Said:
    if one.section is not Section.SERVICES or one.key[0] in here.services or "team" in one.values or not default_team:
        return one
    values = {**one.values, "team": default_team}
    return Said(one.section, one.key, values, one.place, one.origin, one.names)


def _flaws_of(said: list[Said], here: Here) -> Iterator[Flaw]:
    """Yield what is missing of new things, names of nothing, and circles."""
    known = {one.key[0] for one in said if one.section is Section.SERVICES} | here.services.keys()
    for one in said:
        if one.section is Section.SERVICES and one.key[0] not in here.services and "team" not in one.values:
            text = _("Nobody owns this service: name a team, or choose one below for all that name none.")
            yield one.flaw("team", Sentence(text))
        if one.section is Section.CUSTOMERS and one.key[0] not in here.customers and "segment" not in one.values:
            yield one.flaw("segment", Sentence(_("This is missing: write it.")))
        for field, names in _referred(one):
            for name in names:
                if name not in known:
                    text = _("There is no service %(name)s, here or in the files: add it, or mend the name.")
                    yield one.flaw(field, Sentence(text, {"name": name}))
        if one.section is Section.DEPENDENCIES and one.key[0] == one.key[1]:
            yield one.flaw("callee", Sentence(_("A service does not depend on itself. Name another one.")))
    yield from _circles(said, here)


def _referred(one: Said) -> Iterator[tuple[str, Iterable[str]]]:
    if one.section is Section.DEPENDENCIES:
        yield "caller", one.key[:1]
        yield "callee", one.key[1:2]
    if one.section is Section.CUSTOMERS:
        yield "services", one.values.get("services", ())


def _circles(said: list[Said], here: Here) -> Iterator[Flaw]:
    """Yield each edge that closes a circle; circles that are here already, or that manifests show, are nobody's slip.

    Somebody wrote down the edges of Backstage and CSV files; those of manifests are what the workloads were given.
    """
    edges = [one for one in said if one.section is Section.DEPENDENCIES and one.key[0] != one.key[1]]
    before = {key[:2] for key, denied in here.edges.items() if not denied}
    written = {one.key[:2]: one for one in edges if one.origin is not Origin.MANIFEST and one.key[:2] not in before}
    every = [*before, *(one.key[:2] for one in edges)]
    for pair, way in ways_round(every, list(written)):
        text = _("These services would depend on each other in a circle (%(way)s): take one of the edges out.")
        yield written[pair].flaw("callee", Sentence(text, {"way": " → ".join(way)}))


def _teams(said: list[Said], here: Here) -> list[Said]:
    """Return the teams that services name and nobody knows: they are added with them, without members."""
    new: dict[str, Said] = {}
    for one in said:
        team = one.values.get("team") if one.section is Section.SERVICES else None
        row = here.services.get(one.key[0])
        if team and team not in here.teams and team not in new and not (row and row.retired_at):
            new[team] = Said(Section.TEAMS, (team,), {"name": team}, one.place, one.origin)
    return [new[name] for name in sorted(new)]


def _step(one: Said, here: Here, edits: Mapping[tuple[str, str], Edit]) -> Step:
    if not here.has(one.section, one.key):
        new = tuple(Difference(name, None, value) for name, value in one.values.items() if name not in _NAMING)
        return Step(one.section, one.name, Act.ADD, one, new, note=_on_adding(one, here))
    row = here.row(one.section, one.key)
    if row is None:
        denied = one.section is Section.DEPENDENCIES and here.edges[one.key]
        note = Sentence(_("Somebody denied this edge: it stays denied.")) if denied else None
        return Step(one.section, one.name, Act.KEEP, one, note=note)
    if isinstance(row, Service) and row.retired_at:
        note = Sentence(_("It is retired here, and stays as it is."))
        return Step(one.section, one.name, Act.KEEP, one, note=note)
    fields, asked = list[Difference](), list[Conflict]()
    for different in _differences(one, row):
        edit = edits.get((row.stream, different.field))
        if edit is None:
            fields.append(different)
            continue
        conflict_id = f"{one.section}/{one.key[0]}/{different.field}"
        pair = (different.before, different.after)
        asked.append(Conflict(conflict_id, one.section, one.name, different.field, *pair, edit, one.place))
    act = Act.CHANGE if fields else Act.ASK if asked else Act.KEEP
    return Step(one.section, one.name, act, one, tuple(fields), tuple(asked))


_NAMING = frozenset({"name", "caller", "callee"})


def _on_adding(one: Said, here: Here) -> Sentence | None:
    if one.section is not Section.TEAMS:
        return None
    if close := get_close_matches(one.key[0], here.teams, n=1, cutoff=_CLOSE):
        text = _("Nobody knows this team: is it %(close)s? Then mend the file; else it is added, without members.")
        return Sentence(text, {"close": close[0]})
    return Sentence(_("Nobody knows this team yet: it is added, without members."))


def _differences(one: Said, row: Service | Customer) -> list[Difference]:
    """Return the fields that a file says otherwise."""
    if isinstance(row, Service) and row.retired_at:
        return []
    here = values_of(row)
    return [
        Difference(field, here[field], one.values[field])
        for field in _COMPARED[one.section]
        if field in one.values and one.values[field] != here[field]
    ]


def _left(said: list[Said], here: Here) -> Iterator[Sentence]:
    """Yield what is here and not in the files: it stays, since files only add and change."""
    named = {one.key[0] for one in said if one.section is Section.SERVICES}
    if rest := sorted(
        name for name, row in here.services.items() if named and name not in named and not row.retired_at
    ):
        yield Sentence(_STAY, {"n": len(rest), "names": _few(rest)})
    edges = {one.key for one in said if one.section is Section.DEPENDENCIES}
    spoken = {(caller, source) for caller, _callee, source in edges}
    for key, denied in sorted(here.edges.items()):
        if key not in edges and (key[0], key[2]) in spoken and not denied:
            text = _("%(caller)s → %(callee)s is no longer in the files, and stays: deny it if it is gone.")
            yield Sentence(text, {"caller": key[0], "callee": key[1]})


def _few(names: list[str]) -> str:
    return ", ".join([*names[:_SHOWN], *(["…"] if len(names) > _SHOWN else [])])


def unanswered(plan: Plan, answers: Mapping[str, Answer]) -> list[Conflict]:
    """Return the conflicts that nobody has answered."""
    return [one for one in plan.conflicts if one.id not in answers]
