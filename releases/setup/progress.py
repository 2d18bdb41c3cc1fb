"""How far an installation is on its way to the first change: asked of the tables each time, never kept.

A step is a row of ``STEPS``: what has to be done before it, and its parts. A part says what it lacks, or nothing when
it is done; some are optional. Where a part is done is the business of the pages.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from releases.accounts.rights import Right
from releases.catalog.kinds import ConnectionKind, Light, Purpose
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.setup.facts import Facts, look

JOBS = (ConnectionKind.JENKINS, ConnectionKind.SPINNAKER)
MESH = tuple(kind for kind in ConnectionKind if kind.splits_traffic)
MEASURING = (ConnectionKind.PROMETHEUS, ConnectionKind.HTTP)
PEOPLE, CATALOG = Right.PEOPLE_EDIT, Right.CATALOG_EDIT


class Name(StrEnum):
    """The steps, in their order."""

    SIGN_IN = "sign_in"
    TEAM = "team"
    PEOPLE = "people"
    ENVIRONMENTS = "environments"
    SERVICES = "services"
    CONNECTIONS = "connections"
    WIRES = "wires"
    MACHINE = "machine"
    POLICY = "policy"
    CHANGE = "change"


Lacks = Callable[[Facts], Sentence | None]


@dataclass(frozen=True, slots=True)
class Part:
    """One thing to do: its name, who may, and what it lacks.

    The step does not wait for an optional one, nor for one of a ``system`` that nothing leads to: some run no mesh.
    """

    name: str
    right: Right
    lacks: Lacks
    is_optional: bool = False
    system: tuple[ConnectionKind, ...] = ()

    def counts(self, facts: Facts) -> bool:
        """Say whether its step waits for it."""
        return not (self.is_optional or (self.system and facts.way(*self.system) is None))


@dataclass(frozen=True, slots=True)
class Step:
    """One step: what has to be done before it, and its parts."""

    name: Name
    parts: tuple[Part, ...]
    needs: tuple[Name, ...] = ()

    def open_parts(self, facts: Facts) -> list[Part]:
        """Return what must still be done."""
        return [part for part in self.parts if part.counts(facts) and part.lacks(facts)]


@dataclass(frozen=True, slots=True)
class Progress:
    """All steps at one moment."""

    facts: Facts
    done: frozenset[Name]

    @property
    def is_over(self) -> bool:
        """Say whether the last step is done: the installation is in use."""
        return list(Name)[-1] in self.done

    def waits_for(self, step: Step) -> tuple[Name, ...]:
        """Return what has to be done before a step."""
        return tuple(name for name in step.needs if name not in self.done)

    def next_part(self, rights: frozenset[Right]) -> tuple[Step, Part] | None:
        """Return what somebody with these rights does next: the first open part that waits for nothing."""
        for step in STEPS:
            if step.name in self.done or self.waits_for(step):
                continue
            for part in step.open_parts(self.facts):
                if part.right in rights:
                    return step, part
        return None


def _when(is_done: Callable[[Facts], object], text: str) -> Lacks:
    """Return what lacks nothing when that is true, else says the text."""
    return lambda facts: None if is_done(facts) else Sentence(text)


def _leads(nothing: str, *kinds: ConnectionKind) -> Lacks:
    """Return what lacks nothing when a connection to one of these systems passed its test."""
    return lambda facts: _works(facts, nothing, *kinds)


def _decides(facts: Facts) -> Sentence | None:
    if not facts.deciders:
        return Sentence(_("Nobody holds a seat of the committee yet. Nobody gives a seat to themselves."))
    if len(facts.filers) == 1 and facts.filers == facts.deciders:
        return Sentence(_("Who asks for a change never decides on it: give a seat to somebody else, too."))
    return None


def _works(facts: Facts, nothing: str, *kinds: ConnectionKind) -> Sentence | None:
    way = facts.way(*kinds)
    if way is None:
        return Sentence(nothing)
    texts = {
        Light.GO.value: "",
        Light.WAIT.value: _("%(name)s answers, but something there needs mending: read what its test found."),
        Light.STOP.value: _("%(name)s does not work: read what its test found."),
        "": _("%(name)s was not tested yet, or changed since."),
    }
    return Sentence(texts[way.light], {"name": way.name}) if texts[way.light] else None


def _deploys(facts: Facts) -> Sentence | None:
    if facts.spot is None:
        return Sentence(_("Nothing says yet which job deploys a service."))
    if Purpose.DEPLOY in facts.spot.bound:
        return None
    return Sentence(_("Nothing says yet which job deploys %(service)s in %(environment)s."), facts.spot.names)


def _splits(facts: Facts) -> Sentence | None:
    if facts.spot is None or facts.spot.route_id is None:
        return Sentence(_("Without a route a release takes all traffic at once, and so does going back."))
    return None


def _is_read(facts: Facts) -> Sentence | None:
    """Ask for a first look at the route: the way back is approved with the weights that were seen."""
    if facts.spot is None or facts.spot.route_id is None or facts.spot.is_traffic_read:
        return None
    return Sentence(_("Nobody has looked yet how the traffic of %(service)s is split."), facts.spot.names)


STEPS: tuple[Step, ...] = (
    Step(
        Name.SIGN_IN,
        (
            Part(
                "guarded",
                PEOPLE,
                _when(
                    lambda facts: facts.is_guarded,
                    _("Every owner signs in with a password alone, and an owner opens everything."),
                ),
            ),
            Part(
                "provider",
                PEOPLE,
                _when(
                    lambda facts: facts.has_provider,
                    _("People sign in with passwords of their own here, not at your provider."),
                ),
                is_optional=True,
            ),
        ),
    ),
    Step(
        Name.TEAM,
        (
            Part(
                "team",
                PEOPLE,
                _when(lambda facts: facts.has_team, _("Every service belongs to a team; there is none yet.")),
            ),
        ),
    ),
    Step(
        Name.PEOPLE,
        (
            Part("filer", PEOPLE, _when(lambda facts: facts.filers, _("Nobody files changes yet."))),
            Part("decider", PEOPLE, _decides),
            Part(
                "returner",
                PEOPLE,
                _when(lambda facts: facts.returners, _("Nobody goes back when a release does not hold.")),
            ),
        ),
    ),
    Step(
        Name.ENVIRONMENTS,
        (
            Part(
                "environment",
                CATALOG,
                _when(lambda facts: facts.has_environment, _("Nothing is known yet of where services run.")),
            ),
        ),
    ),
    Step(
        Name.SERVICES,
        (Part("service", CATALOG, _when(lambda facts: facts.has_service, _("No service is known yet."))),),
        needs=(Name.TEAM,),
    ),
    Step(
        Name.CONNECTIONS,
        (
            Part("jenkins", CATALOG, _leads(_("Nothing leads to your jobs yet."), *JOBS)),
            Part(
                "kubernetes",
                CATALOG,
                _leads(_("Nothing leads to your cluster or gateway yet."), *MESH),
                system=MESH,
            ),
            Part(
                "prometheus",
                CATALOG,
                _leads(_("Nothing tells yet how services are doing."), *MEASURING),
                system=MEASURING,
            ),
        ),
    ),
    Step(
        Name.WIRES,
        (
            Part("deploy", CATALOG, _deploys),
            Part("route", CATALOG, _splits, system=MESH),
            Part("traffic", CATALOG, _is_read),
            Part(
                "health",
                CATALOG,
                _when(
                    lambda facts: facts.spot and Purpose.HEALTH in facts.spot.bound,
                    _("Without a figure to judge by, a person decides after the first part of the traffic."),
                ),
                system=MEASURING,
            ),
        ),
        needs=(Name.ENVIRONMENTS, Name.SERVICES, Name.CONNECTIONS),
    ),
    Step(
        Name.MACHINE,
        (
            Part(
                "machine",
                PEOPLE,
                _when(lambda facts: facts.has_machine, _("No machine may ask the gate and redeem permits yet.")),
            ),
            Part(
                "key",
                PEOPLE,
                _when(
                    lambda facts: facts.has_key,
                    _("The gate has no key to sign permits with. Ask the operator for one: manage.py keys prepare."),
                ),
            ),
        ),
    ),
    Step(
        Name.POLICY,
        (
            Part(
                "policy",
                Right.POLICY_EDIT,
                _when(lambda facts: facts.has_policy, _("No policy says yet who must approve what.")),
            ),
        ),
        needs=(Name.PEOPLE,),
    ),
    Step(
        Name.CHANGE,
        (
            Part(
                "change",
                Right.CHANGE_FILE,
                _when(lambda facts: facts.has_change, _("Nobody has handed in a change yet.")),
            ),
        ),
        needs=(Name.PEOPLE, Name.ENVIRONMENTS, Name.SERVICES, Name.WIRES, Name.POLICY),
    ),
)


def progress() -> Progress:
    """Return how far this installation is."""
    facts = look()
    return Progress(facts, frozenset(step.name for step in STEPS if not step.open_parts(facts)))
