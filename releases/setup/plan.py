"""What applying a file would do, step by step: the file against the installation as it stands. Writes nothing."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from releases.accounts.roles import Role
from releases.core import canonical
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.core.words import plural
from releases.setup.document import Problem
from releases.setup.queries import Values
from releases.setup.shape import EVERY, POLICY, Item, Key, Wanted, key_of, name_of

Found = Mapping[str, Mapping[Key, Values]]
MOST_NAMED = 10
_STAYS = plural(
    "It is not in the file, and stays: %(names)s.", "These %(n)s are not in the file, and stay: %(names)s.", by="n"
)


class Act(StrEnum):
    """What happens to a thing; ``by_hand`` is for a person to do, ``left`` is here and not in the file."""

    ADD = "add"
    CHANGE = "change"
    KEEP = "keep"
    BY_HAND = "by_hand"
    LEFT = "left"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that changes."""

    field: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Step:
    """One thing: its section and name, what happens to it, which fields change, and what a person should know."""

    kind: str
    name: str
    act: Act
    fields: tuple[Difference, ...] = ()
    sentence: Sentence | None = None
    item: Item | None = None

    @property
    def facts(self) -> dict[str, Any]:
        """Return the step as plain data; what is compared, shown and sent is this."""
        return {
            "kind": self.kind,
            "name": self.name,
            "act": self.act.value,
            "fields": [{"field": one.field, "before": one.before, "after": one.after} for one in self.fields],
            "note": str(self.sentence) if self.sentence else "",
        }

    @property
    def writes(self) -> bool:
        """Say whether something is written."""
        return self.act in {Act.ADD, Act.CHANGE}


@dataclass(frozen=True, slots=True)
class Plan:
    """Every step, in the order they are taken; ``digest`` names exactly these steps."""

    steps: tuple[Step, ...]
    is_applied: bool = False

    @property
    def digest(self) -> str:
        """Return what two plans share only when they do the same."""
        return canonical.digest([one.facts for one in self.steps])

    def count(self, act: Act) -> int:
        """Return how many steps are of a kind."""
        return sum(one.act is act for one in self.steps)

    @property
    def is_empty(self) -> bool:
        """Say whether nothing would be written."""
        return not any(one.writes for one in self.steps)


def steps_of(wanted: Wanted, found: Found) -> tuple[Step, ...]:
    """Return every step, in the order of the sections and of the file; what is left stands at the end of each."""
    steps: list[Step] = []
    for section, items in wanted.sections.items():
        here = found[section]
        steps += [_step(item, here.get(key_of(section, item.values))) for item in items]
        if section != POLICY:
            steps += _left(section, items, here)
    return tuple(steps)


def problems_of(wanted: Wanted, found: Found) -> Iterator[Problem]:
    """Yield what no order of steps could mend: missing fields, names of nothing, circles, an installation unowned."""
    known = {
        section: {key[0] for key in found[section]} | {item.key[0] for item in wanted.sections.get(section, ())}
        for section in ("people", "teams", "environments", "services", "connections")
    }
    for item in wanted:
        fields = EVERY[item.section].fields
        if key_of(item.section, item.values) not in found[item.section]:
            for name, rule in fields.items():
                if rule.must and item.values.get(name) in (None, ""):
                    text = _("“%(field)s” is missing: write it.")
                    yield Problem(f"{item.path}.{name}", item.line, Sentence(text, {"field": name}))
        for name, rule in fields.items():
            if rule.refers:
                yield from _dangling(item, name, rule.refers, known[rule.refers], wanted)
    yield from _circles(wanted, found)
    yield from _unowned(wanted, found)


def _step(item: Item, here: Values | None) -> Step:
    if item.section == "machines":
        return _machine(item, here)
    fields = EVERY[item.section].fields
    if here is None:
        said = {name: item.values[name] for name in fields if item.values.get(name) not in (None, "", (), {}, [])}
        new = tuple(Difference(name, None, _plain(value)) for name, value in said.items())
        return Step(item.section, item.name, Act.ADD, new, _on_adding(item), item)
    changed, stays = [], []
    for name, value in item.values.items():
        before, after = _plain(here[name]), _plain(value)
        if fields[name].grows:
            stays += sorted(set(before) - set(after))
            after = sorted({*before, *after})
        if item.section == "dependencies" and name in {"detail", "confirmed"} and not (name == "confirmed" and after):
            continue  # what a source said stays as it said it, and what a person confirmed is denied on its page
        if before != after:
            changed.append(Difference(name, before, after))
    sentence = _on_changing(item, changed)
    if stays and sentence is None:
        sentence = Sentence(_("The file does not name these, and they stay: %(names)s."), {"names": ", ".join(stays)})
    act = Act.CHANGE if changed else Act.KEEP
    return Step(item.section, item.name, act, tuple(sorted(changed, key=lambda one: one.field)), sentence, item)


def _machine(item: Item, here: Values | None) -> Step:
    if here is not None:
        return Step(item.section, item.name, Act.KEEP, item=item)
    sentence = Sentence(_("A token is shown to one person, once: issue it in the settings under Machines."))
    return Step(item.section, item.name, Act.BY_HAND, (), sentence, item)


def _on_adding(item: Item) -> Sentence | None:
    if item.section == "connections":
        return Sentence(_("The file holds no secret: where one is needed, type it on the page of the connection."))
    if item.section == "people":
        return Sentence(_("The account has no password yet: set one in the settings under People."))
    if item.section == POLICY:
        return Sentence(_("It is in force at once: it is the first."))
    return None


def _on_changing(item: Item, changed: list[Difference]) -> Sentence | None:
    if item.section == POLICY and changed:
        return Sentence(_("It is put before the committee, and is in force once they agree."))
    return None


def _left(section: str, items: tuple[Item, ...], here: Mapping[Key, Values]) -> list[Step]:
    spoken = {key_of(section, item.values) for item in items}
    names = [
        name_of(section, tuple(str(one[part]) for part in EVERY[section].key))
        for key, one in here.items()
        if key not in spoken
    ]
    if not names:
        return []
    told = ", ".join([*names[:MOST_NAMED], *(["…"] if len(names) > MOST_NAMED else [])])
    return [Step(section, "", Act.LEFT, (), Sentence(_STAYS, {"n": len(names), "names": told}))]


def _plain(value: Any) -> Any:
    """Return a value as canonical data: lists, not tuples."""
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if isinstance(value, Mapping):
        return {name: _plain(one) for name, one in value.items()}
    return value


def _dangling(item: Item, name: str, refers: str, known: set[str], wanted: Wanted) -> Iterator[Problem]:
    said = item.values.get(name)
    if not said:
        return
    for index, one in enumerate(said if isinstance(said, tuple) else (said,)):
        if one not in known:
            path = f"{item.path}.{name}" + (f"[{index}]" if isinstance(said, tuple) else "")
            text = _("There is no “%(name)s” among the %(section)s, here or in the file: add it, or mend the name.")
            line = wanted.read.line(f"{item.path}.{name}")
            yield Problem(path, line, Sentence(text, {"name": one, "section": refers}))


def _circles(wanted: Wanted, found: Found) -> Iterator[Problem]:
    """Yield each edge the file adds that closes a circle; circles that are here already are nobody's news."""
    items = [one for one in wanted.sections.get("dependencies", ()) if "callee" in one.values]
    calls: dict[str, set[str]] = {}
    for caller, callee, _source in [*found["dependencies"], *(one.key for one in items)]:
        calls.setdefault(caller, set()).add(callee)
    here = {key[:2] for key in found["dependencies"]}
    for item in items:
        caller, callee = item.key[:2]
        if (caller, callee) in here or not (way := _way(callee, caller, calls)):
            continue
        text = _("These services would depend on each other in a circle (%(way)s): take one of the edges out.")
        yield Problem(item.path, item.line, Sentence(text, {"way": " → ".join([caller, *way])}))


def _way(start: str, goal: str, calls: Mapping[str, set[str]]) -> list[str]:
    """Return the shortest way from one service to another, both included; empty when there is none."""
    came: dict[str, str] = {start: ""}
    edge = [start]
    while edge and goal not in came:
        following = []
        for node in edge:
            for callee in sorted(calls.get(node, ())):
                if callee not in came:
                    came[callee] = node
                    following.append(callee)
        edge = following
    if goal not in came:
        return []
    way = [goal]
    while came[way[-1]]:
        way.append(came[way[-1]])
    return way[::-1]


def _unowned(wanted: Wanted, found: Found) -> Iterator[Problem]:
    """Yield the last owner whom the file lists without the role: it would describe an installation nobody owns."""
    owner = Role.OWNER.value
    said = {item.key[0]: item for item in wanted.sections.get("people", ())}
    owners = {name for (name,), one in found["people"].items() if owner in one["roles"]}
    stay = {name for name in owners if name not in said or owner in said[name].values.get("roles", (owner,))}
    new = {name for name, item in said.items() if owner in item.values.get("roles", ())}
    if not owners or stay | new:
        return
    for name in sorted(owners):
        path = f"{said[name].path}.roles"
        text = _("%(name)s is the last owner, and the file lists them without that role: add owner to the roles.")
        yield Problem(path, wanted.read.line(path), Sentence(text, {"name": name}))
