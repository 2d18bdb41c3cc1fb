"""Who and what the demo is about: plain data, told through the services by :mod:`gmud.demo.telling`."""

from collections.abc import Mapping
from dataclasses import dataclass

from releases.accounts.roles import Role
from releases.catalog.kinds import DataClass
from releases.changes.states import ChangeType, Outcome, State
from releases.traffic.ports import System

LAST = 10
RUNNING = f"v0.6.{LAST}"
"""What the last change of each service brought, everywhere, and what the stand-in of the cluster begins with."""
BAD = ("ledgerwriter", "v0.7.1")
"""The version that fails its canary; the stand-in of Prometheus is started with it."""
BAD_SHARE = 0.4


@dataclass(frozen=True, slots=True)
class Someone:
    """A person of the demo; ``signs_in`` says as what: who does not has no password."""

    username: str
    name: str
    roles: tuple[Role, ...]
    teams: tuple[str, ...] = ()
    signs_in: str = ""


OWNER = "owner"
PEOPLE = (
    Someone("ana", "Ana Reis", (Role.ENGINEER,), ("ledger",), "engineer"),
    Someone("bruno", "Bruno Lima", (Role.SEAT_ENGINEERING,), ("frontend",), "committee, Engineering"),
    Someone("helena", "Helena Costa", (Role.SEAT_SECURITY,), (), "committee, Security"),
    Someone("davi", "Davi Nunes", (Role.ON_CALL, Role.SEAT_OPERATIONS), ("accounts",), "on call"),
    Someone("marta", "Marta Sá", (Role.RELEASE_MANAGER,), (), "release manager"),
    Someone("iara", "Iara Melo", (Role.ENGINEER, Role.SEAT_ENGINEERING), ("accounts",)),
    Someone("nina", "Nina Alves", (Role.ENGINEER,), ("frontend",)),
    Someone("caio", "Caio Dias", (Role.SEAT_SECURITY,), ()),
    Someone("lia", "Lia Prado", (Role.SEAT_BUSINESS,), ()),
    Someone("rui", "Rui Paz", (Role.SEAT_OPERATIONS, Role.AUDITOR), ()),
)

POLICY = [
    {
        "when": {"environment_kind": ["production"], "type": ["normal"]},
        "seats": {"seat_engineering": 1, "seat_security": 1},
    },
    {
        "when": {"environment_kind": ["production"], "type": ["normal"], "risk_at_least": "very_high"},
        "seats": {"seat_engineering": 1, "seat_security": 1, "seat_business": 1},
        "fresh_sign_in_minutes": 5,
    },
    {"when": {"environment_kind": ["production"], "type": ["emergency"]}, "seats": {"seat_operations": 1}},
    {"when": {"environment_kind": ["production"], "type": ["standard"]}, "seats": {}},
    {
        "when": {"environment_kind": ["production"], "type": ["standard"], "risk_at_least": "moderate"},
        "seats": {"seat_engineering": 1},
    },
    {
        "when": {"environment_kind": ["staging", "development"], "type": ["normal", "emergency"]},
        "seats": {"seat_engineering": 1},
    },
    {"when": {"environment_kind": ["staging", "development"], "type": ["standard"]}, "seats": {}},
    {
        "when": {"environment_kind": ["staging", "development"], "type": ["standard"], "risk_at_least": "moderate"},
        "seats": {"seat_engineering": 1},
    },
]


@dataclass(frozen=True, slots=True)
class About:
    """What a service of the bank is, and the control plane that splits its traffic."""

    title: str
    team: str
    criticality: int
    data: tuple[DataClass, ...] = ()
    plane: System = System.ISTIO


SERVICES = {
    "frontend": About("Web bank", "frontend", 4, (DataClass.PERSONAL,), System.KONG),
    "userservice": About("Sign-up and sign-in", "accounts", 4, (DataClass.PERSONAL,), System.GATEWAY),
    "contacts": About("Saved recipients", "accounts", 2, (DataClass.PERSONAL,), System.APISIX),
    "ledgerwriter": About("Bookings", "ledger", 4, (DataClass.MONEY,)),
    "balancereader": About("Balances", "ledger", 3, (DataClass.MONEY,)),
    "transactionhistory": About("Statements", "ledger", 3, (DataClass.MONEY, DataClass.PERSONAL), System.LINKERD),
}


@dataclass(frozen=True, slots=True)
class Split:
    """How the routes of a control plane are called: behind which connection, by which names, and their two sides."""

    connection: str
    locator: Mapping[str, str]
    stable: str
    canary: str

    def of(self, service: str, environment: str) -> "Split":
        """Return the route of one service in one environment."""
        parts = {"service": service, "environment": environment}
        locator = {name: value.format(**parts) for name, value in self.locator.items()}
        return Split(self.connection, locator, self.stable.format(**parts), self.canary.format(**parts))


IN_THE_CLUSTER = {"namespace": "bank-{environment}", "name": "{service}"}
AT_A_GATEWAY = {"name": "{service}-{environment}"}
SPLITS = {
    System.ISTIO: Split("kubernetes", {**IN_THE_CLUSTER, "route": "primary"}, "stable", "canary"),
    System.LINKERD: Split(
        "kubernetes", {**IN_THE_CLUSTER, "system": System.LINKERD}, "{service}-stable", "{service}-canary"
    ),
    System.GATEWAY: Split(
        "kubernetes",
        {**IN_THE_CLUSTER, "system": System.GATEWAY, "route": "primary"},
        "{service}-stable",
        "{service}-canary",
    ),
    System.KONG: Split(
        "kong",
        AT_A_GATEWAY,
        "{service}-stable.bank-{environment}.svc:8080",
        "{service}-canary.bank-{environment}.svc:8080",
    ),
    System.APISIX: Split("apisix", AT_A_GATEWAY, "{service}-{environment}-stable", "{service}-{environment}-canary"),
}


def served_by(plane: System) -> list[str]:
    """Return the services whose traffic this control plane splits."""
    return [name for name, about in SERVICES.items() if about.plane is plane]


BY_SPINNAKER = frozenset({"frontend"})
"""The teams that deliver through Spinnaker; the others deliver through Jenkins."""
PULLED = ("contacts", "staging")
"""Where a pipeline of Spinnaker is started by people, and waits for the gate; going back GMUD starts the other one."""
JOBS = {
    "jenkins": "{team}/deploy-{service}",
    "spinnaker": "{team}/Deploy {service}",
    "pulled": "{team}/Deploy {service} when the gate opens",
}


def delivery_of(service: str, environment: str) -> tuple[str, Mapping[str, object]]:
    """Return the system that deploys a service somewhere, and the settings of the binding."""
    team = SERVICES[service].team
    jobs = {kind: {"job": name.format(team=team, service=service), "parameters": {}} for kind, name in JOBS.items()}
    if (service, environment) == PULLED:
        return "spinnaker", {**jobs["pulled"], "back": jobs["spinnaker"]}
    system = "spinnaker" if team in BY_SPINNAKER else "jenkins"
    return system, jobs[system]


CUSTOMERS = (
    ("Account holders", "retail", 412_000, 0, tuple(SERVICES)),
    ("Merchants with pay-outs", "business", 1_830, 0, ("ledgerwriter", "balancereader", "transactionhistory")),
    ("Partner banks", "partner", 6, 0, ("ledgerwriter",)),
)
"""Nobody was promised notice: days ahead of a change they would have to be told, and a visitor has minutes."""
ASKED_FOR = ("Interbank settlement audit", "Partner banks", 12)  # a freeze, by whom, in how many days
BUDGETED, BUDGET_LEFT = "userservice", 0.8


@dataclass(frozen=True, slots=True)
class Past:
    """A change that is over: so many days ago, which service got which version where, and how it ended.

    With ``is_rollout`` GMUD itself deployed it and shifted the traffic; else CI did, with a permit of the gate.
    """

    days: int
    service: str
    version: str
    environment: str
    title: str
    why: str
    ending: str = Outcome.SUCCESSFUL
    type: ChangeType = ChangeType.NORMAL
    is_rollout: bool = False

    @property
    def outcome(self) -> str:
        """Return the outcome that its record holds: none when it was rejected."""
        return "" if self.ending == State.REJECTED else self.ending


def past() -> tuple[Past, ...]:
    """Return about forty changes, oldest first: every version through staging, then production."""
    told: list[Past] = []
    for turn, (title, why) in enumerate(REASONS):
        service = list(SERVICES)[turn % len(SERVICES)]
        later = (len(REASONS) - 1 - turn) // len(SERVICES)
        version = f"v0.6.{LAST - later}"
        days = 80 - 4 * turn
        tried = ChangeType.STANDARD if turn in STANDARD else ChangeType.NORMAL
        kind = ChangeType.EMERGENCY if turn in EMERGENCIES else ChangeType.NORMAL
        ends = ENDINGS.get(turn, Outcome.SUCCESSFUL)
        told.append(Past(days + 1, service, version, "staging", title, why, type=tried))
        told.append(Past(days, service, version, "production", title, why, ends, kind, turn in ROLLOUTS))
    return tuple(told)


def found() -> dict[str, str]:
    """Return the version of each service that ran everywhere before all that is told."""
    turns = {service: len(range(index, len(REASONS), len(SERVICES))) for index, service in enumerate(SERVICES)}
    return {service: f"v0.6.{LAST - count}" for service, count in turns.items()}


REASONS = (
    ("Show the balance before the menu", "People open the menu to look at their balance; the page costs two loads."),
    ("Refuse leaked passwords at sign-up", "One account in ninety still signs up with a password that is public."),
    ("Sort recipients by last use", "The list is alphabetical; nine of ten transfers go to the last three."),
    ("Recognise a repeated transfer by its key", "A retry after a time-out booked 31 transfers twice last month."),
    ("Cache balances for two seconds", "Salary day brings 40 reads a second of the same balance."),
    ("Statements by month", "Support sends statements by hand, 200 a week."),
    ("Log out idle sessions after ten minutes", "The regulator asks for it from October on."),
    ("Longer sign-in tokens", "Tokens of 64 bits can be guessed at the rate we allow."),
    ("Say why a recipient is refused", "One call in six is about a refused recipient."),
    ("Write bookings in batches", "The ledger waits for 300 single writes a second."),
    ("Read balances from the replica", "Reports slow down bookings at the end of the month."),
    ("Export statements as a table", "Merchants type them off the screen."),
    ("New colours of the web bank", "The contrast of the buttons is too low to be read outdoors."),
    ("Count failed sign-ins per address", "Somebody tries lists of passwords from a few addresses."),
    ("Keep deleted recipients for a day", "Twelve people a week delete the wrong one."),
    ("Drop the old booking table", "It has been empty since July and confuses the auditors."),
    ("Warm the balance cache at start", "The first minute after a release is slow."),
    ("Show pending transfers", "People send twice because they do not see the first."),
    ("Show the exchange rate that was used", "The rate stands in the terms only."),
)
ENDINGS = {
    4: Outcome.SUCCESSFUL_WITH_ISSUES,
    8: Outcome.ROLLED_BACK,
    9: State.REJECTED,
    10: Outcome.FAILED,
    15: Outcome.SUCCESSFUL_WITH_ISSUES,
}
EMERGENCIES = frozenset({13})
STANDARD = frozenset({12, 18})
ROLLOUTS = frozenset({3, 7, 8, 10, 11, 12, 13, 15, 17, 18})
"""Two per service, so that its traffic is on the stable side again: but what failed or was rolled back moved none."""


@dataclass(frozen=True, slots=True)
class Ready:
    """A change of production that may go when the visitor comes: start it, take it back."""

    service: str
    title: str
    why: str
    version: str = "v0.7.0"


BAD_ONE = Ready(
    BAD[0],
    "Book transfers in parallel",
    "Bookings queue for up to 1.9 s at salary peaks. This version will fail its canary: take it back.",
    BAD[1],
)
GOOD_ONE = Ready(
    "balancereader", "More database connections for balancereader", "The balance page times out at salary peaks."
)
WAITING_ONE = Ready(
    "userservice", "Refuse 1,900 leaked session tokens", "The tokens have been on a public paste since this morning."
)
AT_OTHERS = {
    "kong": Ready("frontend", "Group saved recipients", "People with fifty recipients scroll for a minute."),
    "apisix": Ready("contacts", "Check the recipient's tax number", "One transfer in 700 goes to a mistyped number."),
    "linkerd": Ready("transactionhistory", "Search in statements", "People export a year to find one payment."),
}
TO_TRY = (
    "CHG-{bad} will fail its canary. As ana: {{address}}/changes/{bad}, Start the rollout. "
    "As davi: {{address}}/live/{bad}, Go back.",
    "CHG-{waiting} waits for two seats. As bruno, then as helena: {{address}}/changes/{waiting}, read, approve. "
    "Then ana may start it: its traffic is split by the Gateway API.",
    "CHG-{kong} goes through Spinnaker and Kong, forward and back. As ana: {{address}}/changes/{kong}, Start the "
    "rollout; as davi: {{address}}/live/{kong}, Go back. The same through APISIX: CHG-{apisix}, through Linkerd: "
    "CHG-{linkerd}.",
    "CHG-{good} may go now. In another terminal, ask the gate what CI asks it: README.md, Try the gate from a shell.",
)
"""Told with the numbers of the open changes; the address is known to whoever prints it."""
