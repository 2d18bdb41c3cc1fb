"""Start: the steps from an empty installation to its first change, what is done of them, and what to press next."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.http import HttpResponse
from django.urls import NoReverseMatch, path, reverse
from django.utils.functional import Promise
from django.utils.http import urlencode
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from django.views.decorators.http import require_GET

from releases.accounts import queries as accounts
from releases.accounts.rights import Right
from releases.audit.actor import Actor
from releases.catalog.kinds import ConnectionKind, Purpose
from releases.core.errors import Sentence
from releases.core.words import mark
from releases.setup import facts as setup
from releases.setup.facts import Facts
from releases.setup.progress import JOBS, MEASURING, MESH, STEPS, Name, Part, Progress, Step, progress
from releases.web.answer import page
from releases.web.looks import Look, Words
from releases.web.request import Request, signed_in, why_not
from releases.web.shell import Hint
from releases.web.tags import both

Address = Callable[[Facts], str]
Filled = str | list[str]

DONE = Look("go", "✓", pgettext_lazy("step", "Done"))
NEXT = Look("info", "→", pgettext_lazy("step", "Next"))
OPEN = Look("", "○", pgettext_lazy("step", "Open"))
WAITS = Look("", "◔", pgettext_lazy("step", "Waits"))
EXTRA = Look("", "+", pgettext_lazy("step", "Recommended"))


@dataclass(frozen=True, slots=True)
class About:
    """What a step is called, and what it is good for."""

    title: str | Promise
    why: str | Promise


@dataclass(frozen=True, slots=True)
class Way:
    """Where a part is done: what to press, what is true afterwards, and another way when there is one.

    ``kinds`` are of a connection: one that is there is looked at, not added.
    """

    word: str | Promise
    done: str | Promise
    href: Address
    other: str | Promise = ""
    other_href: Address = lambda _facts: ""
    kinds: tuple[ConnectionKind, ...] = ()

    def word_for(self, facts: Facts) -> Words:
        """Return what stands on the button."""
        return _("Look at it and test it") if self.kinds and facts.way(*self.kinds) else self.word


@dataclass(frozen=True, slots=True)
class Line:
    """One part, ready to print."""

    look: Look
    text: Words
    word: Words = ""
    href: str = ""
    other: Words = ""
    other_href: str = ""
    why: Words = ""
    detail: Words = ""
    is_next: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One step, ready to print."""

    number: int
    name: str
    look: Look
    title: Words
    why: Words
    end: Words
    lines: tuple[Line, ...]


def _to(url_name: str, *args: object, **filled: Filled) -> str:
    """Return an address with what its form begins with; empty while there is no such page."""
    try:
        href = reverse(url_name, args=args)
    except NoReverseMatch:
        return ""
    said = {name: value for name, value in filled.items() if value}
    return f"{href}?{urlencode(said, doseq=True)}" if said else href


def _add(slug: str, **filled: Filled) -> Address:
    return lambda _facts: _to("settings-add", slug, **filled)


def _connection(*kinds: ConnectionKind) -> Address:
    """Lead to the connection that is there, to be tested, else to the form that adds one."""

    def href(facts: Facts) -> str:
        there = facts.way(*kinds)
        kind = kinds[0].value
        return (
            _to("settings-one", "connections", there.id)
            if there
            else _to("settings-add", "connections", kind=kind, name=kind)
        )

    return href


def _place(facts: Facts) -> dict[str, Filled]:
    spot = facts.spot
    return {"service": str(spot.service_id), "environment": str(spot.environment_id)} if spot else {}


def _binding(purpose: Purpose, *kinds: ConnectionKind) -> Address:
    def href(facts: Facts) -> str:
        way = facts.way(*kinds)
        if way is None:
            return ""
        return _to("settings-add", "bindings", **_place(facts), purpose=purpose.value, connection=str(way.id))

    return href


def _route(facts: Facts) -> str:
    way = facts.way(*MESH)
    return _to("settings-add", "routes", **_place(facts), connection=str(way.id)) if way else ""


def _traffic(facts: Facts) -> str:
    return _to("settings-one", "routes", facts.spot.route_id) if facts.spot and facts.spot.route_id else ""


def _policies(_facts: Facts) -> str:
    return _to("policy-edit")


STEPS_ABOUT: Mapping[Name, About] = {
    Name.SIGN_IN: About(
        _("Sign in safely"),
        _("Whoever owns this installation can give every right. Guard your account before you add others."),
    ),
    Name.TEAM: About(_("A team"), _("Teams own services; their members are told and asked.")),
    Name.PEOPLE: About(
        _("People"),
        _("At least one who asks for changes, another who decides on them, and one who goes back."),
    ),
    Name.ENVIRONMENTS: About(
        _("Environments"), _("Where services run. Rules differ by kind: production asks for more.")
    ),
    Name.SERVICES: About(_("Services"), _("What gets released: from your manifests or a file, or one by hand.")),
    Name.CONNECTIONS: About(
        _("Connections"),
        _("Ways to Jenkins, your mesh and your figures. Each is tested at once; nothing is changed there."),
    ),
    Name.WIRES: About(
        _("Wiring"), _("Which job deploys the first service, where its traffic is split, and which figure judges it.")
    ),
    Name.MACHINE: About(_("A token for your CI"), _("Your deploy job redeems its permit with it. It is shown once.")),
    Name.POLICY: About(
        _("The first policy"), _("Who must approve what. Later ones are decided by the committee itself.")
    ),
    Name.CHANGE: About(
        _("The first change"), _("An engineer asks, the committee decides, the gate opens for your CI.")
    ),
}
ROLES_HREF = "settings-act"
WAYS: Mapping[str, Way] = {
    "guarded": Way(
        _("Add a second factor"),
        _("An owner signs in with more than a password."),
        lambda _facts: _to("profile"),
    ),
    "provider": Way(
        _("Link your account"),
        _("People can sign in at your provider."),
        lambda facts: _to("profile") if facts.has_provider else "",
    ),
    "team": Way(_("Add a team"), _("There is a team."), _add("teams")),
    "filer": Way(
        _("Add an engineer"),
        _("Somebody files changes."),
        _add("people", roles="engineer", with_password="on"),  # noqa: S106  # a box that is ticked
        _("Or give somebody the role"),
        lambda _facts: _to(ROLES_HREF, "roles", "engineer", "give"),
    ),
    "decider": Way(
        _("Add a committee member"),
        _("Somebody else decides on them."),
        _add("people", roles="seat_engineering", with_password="on"),  # noqa: S106  # a box that is ticked
        _("Or give somebody a seat"),
        lambda _facts: _to("settings-list", "roles"),
    ),
    "returner": Way(
        _("Add somebody on call"),
        _("Somebody goes back when a release does not hold."),
        _add("people", roles="on_call", with_password="on"),  # noqa: S106  # a box that is ticked
        _("Or give somebody the role"),
        lambda _facts: _to(ROLES_HREF, "roles", "on_call", "give"),
    ),
    "environment": Way(
        _("Add an environment"),
        _("It is known where services run."),
        _add("environments", name="production", kind="production"),
    ),
    "service": Way(
        _("Add a service by hand"),
        _("There is a service."),
        _add("services"),
        _("Or import many"),
        lambda _facts: _to("import"),
    ),
    "jenkins": Way(_("Connect Jenkins"), _("Jenkins answers."), _connection(*JOBS), kinds=JOBS),
    "kubernetes": Way(_("Connect Kubernetes"), _("The cluster answers."), _connection(*MESH), kinds=MESH),
    "prometheus": Way(_("Connect Prometheus"), _("Figures can be asked."), _connection(*MEASURING), kinds=MEASURING),
    "deploy": Way(_("Name the deploy job"), _("A job deploys it."), _binding(Purpose.DEPLOY, *JOBS)),
    "route": Way(_("Name the route"), _("Its traffic can be split."), _route),
    "traffic": Way(_("Look at its traffic"), _("It is known how its traffic is split."), _traffic),
    "health": Way(_("Name the figure"), _("A figure judges it."), _binding(Purpose.HEALTH, *MEASURING)),
    "machine": Way(
        _("Issue a token"),
        _("A machine may ask the gate and redeem permits."),
        _add("machines", name="Jenkins", scopes=[Right.GATE_ASK.value, Right.PERMIT_REDEEM.value]),
    ),
    "key": Way("", _("The gate has a key to sign with."), lambda _facts: ""),
    "policy": Way(_("Write the policy"), _("A policy is in force."), _policies),
    "change": Way(_("File a change request"), _("The first change was handed in."), lambda _facts: _to("new-change")),
}


class Steps:
    """The steps as one person sees them."""

    def __init__(self, actor: Actor, found: Progress) -> None:
        """Look once what this person may do."""
        self.actor, self.found, self.facts = actor, found, found.facts
        self.rights = accounts.rights_of(actor)
        self.next = found.next_part(self.rights)

    def rows(self) -> Iterator[Row]:
        """Yield every step with its parts."""
        for number, step in enumerate(STEPS, start=1):
            about, waits_for = STEPS_ABOUT[step.name], self.found.waits_for(step)
            is_done = step.name in self.found.done
            look = DONE if is_done else WAITS if waits_for else NEXT if self._is_next(step) else OPEN
            first = both([str(list(Name).index(name) + 1) for name in waits_for])
            end = Sentence(mark("after %(steps)s"), {"steps": first}) if waits_for and not is_done else look.word
            yield Row(
                number=number,
                name=step.name.value,
                look=look,
                title=about.title,
                why=about.why,
                end=end,
                lines=tuple(self._lines(step, is_waiting=bool(waits_for))),
            )

    def hint(self) -> Hint:
        """Return the band that other pages show."""
        said = Sentence(
            mark("First steps: %(done)s of %(total)s done."), {"done": len(self.found.done), "total": len(STEPS)}
        )
        if self.next is None:
            return Hint(said, Sentence(mark("The next one is for somebody else.")), "", "", reverse("start"))
        _step, part = self.next
        way = WAYS[part.name]
        word, href = way.word_for(self.facts), way.href(self.facts)
        return Hint(said, part.lacks(self.facts) or "", word, href, reverse("start"))

    def _is_next(self, step: Step) -> bool:
        return self.next is not None and self.next[0].name == step.name

    def _lines(self, step: Step, *, is_waiting: bool) -> Iterator[Line]:
        for part in step.parts:
            way, lacks = WAYS[part.name], part.lacks(self.facts)
            word = way.word_for(self.facts)
            if lacks is None:
                if part.name != "traffic" or (self.facts.spot and self.facts.spot.route_id):
                    yield Line(DONE, way.done)
                continue
            look = OPEN if part.counts(self.facts) else EXTRA
            is_next = self.next is not None and self.next[1].name == part.name
            href = "" if is_waiting else way.href(self.facts)
            why = why_not(self.actor, part.right) if href and part.right not in self.rights else ""
            if why or not href:
                yield Line(look, lacks, word=word if why else "", why=why, detail=self._detail(part))
            else:
                other = way.other_href(self.facts)
                yield Line(look, lacks, word, href, way.other if other else "", other, is_next=is_next)

    def _detail(self, part: Part) -> Words:
        """Return how the sign-in provider is set up: that is done in the settings of the processes."""
        if part.name != "provider":
            return ""
        back = settings.PUBLIC_URL.rstrip("/") + reverse("sign-in-provider-back")
        text = mark(
            "For a provider of your own set GMUD_OIDC_ISSUER, GMUD_OIDC_CLIENT_ID and GMUD_OIDC_CLIENT_SECRET, with "
            "%(back)s as the address back, and start anew. Linking your account in the profile tests it."
        )
        return Sentence(text, {"back": back})


def hint(actor: Actor, _now: datetime) -> Hint | None:
    """Return how far the installation is and what this person does next; nothing once it is in use."""
    return None if setup.is_over() else Steps(actor, progress()).hint()


@require_GET
@signed_in
def start(request: Request) -> HttpResponse:
    """Show the steps."""
    found = progress()
    steps = Steps(request.actor, found)
    context = {
        "rows": list(steps.rows()),
        "done": len(found.done),
        "total": len(STEPS),
        "percent": round(100 * len(found.done) / len(STEPS)),
        "is_over": found.is_over,
        "next": steps.hint() if len(found.done) < len(STEPS) else None,
    }
    return page(request, "start/start.html", context)


urlpatterns = [path("start", start, name="start")]
