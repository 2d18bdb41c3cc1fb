"""What ``make run`` starts, as a table."""

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from gmud.demo import story
from gmud.env import ROOT
from gmud.run.group import Program
from gmud.servers import broker_command
from releases.traffic.ports import System

SANDBOXES = ("jenkins", "kubernetes", "prometheus", "spinnaker", "kong", "apisix")
THREADS = "4"
AS_ROOT = "ignore:You're running the worker with superuser privileges"  # in a container one often is
MOST_OF_EACH = 32
LONGEST_SOCKET_PATH = 100  # the kernel's limit is 107 bytes
# One process does one task at a time; a going back waits neither behind a deployment nor for a restart.
WORKERS = {
    "work-1": "deploy,notify,default",
    "work-2": "deploy,notify,default",
    "rollback-1": "rollback",
    "rollback-2": "rollback",
}
KEPT = "sandbox.json"
LAST_PORT = 65535
STEP = 100  # to another port that is probably free
BROKER, OUTSIDE, HOUSE = 0, 1, 2  # stages: the broker stops last


class BadSetting(Exception):
    """A setting cannot be used; its text is for whoever set it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Where this house stands: its folder, its address, and which servers are its own."""

    data: Path
    host: str
    port: int
    sandbox_port: int
    broker: Path | None
    demo: bool
    each: int = 1  # how many web servers (at one address), clocks and sealers; workers are two of a kind anyway

    @property
    def address(self) -> str:
        """Return the address people type."""
        return f"http://localhost:{self.port}"

    @property
    def sandboxes(self) -> dict[str, int]:
        """Return the port of each stand-in; none outside the demo."""
        return {name: self.sandbox_port + index for index, name in enumerate(SANDBOXES)} if self.demo else {}

    @property
    def gate_token_file(self) -> Path:
        """Return where the demo leaves the token with which the stand-in of Jenkins redeems permits."""
        return self.data / "jenkins.token"

    @property
    def figures(self) -> Path | None:
        """Return the folder in which several web servers count together; one counts alone."""
        return self.data / "figures" if self.each > 1 else None

    @property
    def broker_log(self) -> Path:
        """Return where the embedded broker writes: it complains about the kernel, and nothing is lost with it."""
        return self.data / "broker.log"

    @property
    def ports(self) -> list[int]:
        """Return every port this house listens on."""
        return [self.port, *self.sandboxes.values()]


def make(*, data: Path, host: str, port: int, environment: Mapping[str, str]) -> Plan:
    """Return the plan for this folder and environment.

    The demo's connections name the stand-ins' ports, so the ports of the first start are kept with the data.

    :raises BadSetting: ``GMUD_RUN_EACH`` is no such number, or the port cannot be had beside those of the stand-ins
    """
    each = environment.get("GMUD_RUN_EACH") or "1"
    if not (each.isascii() and each.isdecimal() and len(each) < 3 and 1 <= int(each) <= MOST_OF_EACH):
        raise BadSetting(f"GMUD_RUN_EACH is {each!r}: give a number from 1 to {MOST_OF_EACH}.")
    demo = environment.get("GMUD_DEMO", "").lower() in {"1", "true", "yes", "on"}
    kept = data / KEPT
    sandbox_port = int(json.loads(kept.read_text())["port"]) if kept.exists() else port + 1
    broker = None if environment.get("REDIS_URL") else _socket_in(data)
    plan = Plan(data, host, port, sandbox_port, broker, demo, each=int(each))
    if not all(0 < one <= LAST_PORT for one in plan.ports):
        raise BadSetting(f"The port is {port}: give a number from 1 to {LAST_PORT - len(SANDBOXES)}.")
    for name, one in plan.sandboxes.items():
        if one == port:
            raise BadSetting(f"Port {port} is where {name} of this demo listens: say make run PORT={port + STEP}")
    return plan


def why_taken(plan: Plan, port: int) -> str:
    """Say what to do about a port of the plan on which somebody else listens."""
    if port != plan.port and (plan.data / KEPT).exists():
        return f"Port {port} is taken, and the demo's data name it: stop what listens there, or name another GMUD_DATA"
    return f"Port {port} is taken: stop what listens there, or say make run PORT={plan.port + STEP}"


def make_room(plan: Plan) -> None:
    """Keep where the stand-ins are, and empty the folder of the figures: what was counted before is history."""
    if plan.sandboxes:
        (plan.data / KEPT).write_text(json.dumps({"port": plan.sandbox_port}))
    if plan.figures:
        shutil.rmtree(plan.figures, ignore_errors=True)
        plan.figures.mkdir(mode=0o700)


def environment_of(plan: Plan, given: Mapping[str, str]) -> dict[str, str]:
    """Return what the processes see: defaults, over them what was given, over that what the plan says."""
    defaults = {"GMUD_PUBLIC_URL": plan.address, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": AS_ROOT}
    defaults |= {"GMUD_LOG_JSON": "0"}  # somebody reads along
    own = {"GMUD_DATA": str(plan.data), "GMUD_DEMO": str(int(plan.demo))}
    own |= {f"GMUD_SANDBOX_{name.upper()}": f"http://127.0.0.1:{port}" for name, port in plan.sandboxes.items()}
    if plan.broker:
        own["REDIS_URL"] = f"redis+socket://{plan.broker}"
    if plan.figures:
        own["PROMETHEUS_MULTIPROC_DIR"] = str(plan.figures)
    if plan.demo:
        own["GMUD_GATE_TOKEN_FILE"] = str(plan.gate_token_file)
        defaults |= {
            "GMUD_OUTBOUND_NETWORKS": "127.0.0.0/8",
            "GMUD_VERDICT_SECONDS": "15",
            "GMUD_VERIFY_SECONDS": "6",
            "GMUD_WATCH_SECONDS": "600",
        }
    return {**defaults, **given, **own}


def broker(plan: Plan) -> list[Program]:
    """Return the broker, when it is ours."""
    if plan.broker is None:
        return []
    command = broker_command(place=plan.broker, folder=plan.broker.parent)
    return [Program("broker", (*command, "--logfile", str(plan.broker_log)), stage=BROKER)]


def sandboxes(plan: Plan) -> list[Program]:
    """Return the stand-ins of the outside systems, in the demo."""
    address = {name: f"http://127.0.0.1:{port}" for name, port in plan.sandboxes.items()}
    gate, cluster = f"http://127.0.0.1:{plan.port}", address.get("kubernetes", "")
    planes = [("--plane", f"{name}={about.plane}") for name, about in story.SERVICES.items()]
    needs: Mapping[str, Sequence[tuple[str, str]]] = {
        "jenkins": [
            ("--gate-url", gate),
            ("--gate-token-file", str(plan.gate_token_file)),
            ("--kubernetes", cluster),
            _kept(plan, "jenkins"),
        ],
        "kubernetes": [_kept(plan, "kubernetes"), *planes],
        "prometheus": [
            *((f"--{name}", address.get(name, "")) for name in ("kubernetes", "kong", "apisix")),
            ("--bad", f"{'='.join(story.BAD)}:{story.BAD_SHARE}"),
        ],
        "spinnaker": [
            ("--gate-url", gate),
            ("--gate-token-file", str(plan.data / "spinnaker.token")),
            ("--kubernetes", cluster),
            _kept(plan, "spinnaker"),
        ],
        **{
            name: [_kept(plan, name), *(("--service", one) for one in story.served_by(System(name)))]
            for name in ("kong", "apisix")
        },
    }
    return [
        Program(name, _python("-m", f"gmud.sandbox.{name}", "--port", str(port), *chain(*needs[name])), OUTSIDE)
        for name, port in plan.sandboxes.items()
    ]


def _kept(plan: Plan, name: str) -> tuple[str, str]:
    """Return the option that says where a stand-in keeps what it is told."""
    return "--state", str(plan.data / f"{name}.state.json")


def prepare() -> Program:
    """Return what runs once, before the house opens."""
    return Program("prepare", _python("-m", "gmud.run.prepare"), stage=OUTSIDE, once=True)


def house(plan: Plan) -> list[Program]:
    """Return the house itself: pages and API, the workers, the clock, the sealer."""
    web = ("--interface", "wsgi", "--host", plan.host, "--port", str(plan.port), "--workers-kill-timeout", "5")
    calm = ("--blocking-threads", THREADS, "--log-level", "warning")
    beat = ("beat", "--loglevel", "WARNING", "--pidfile=")
    worker = ("worker", "--loglevel", "WARNING", "--without-gossip", "--without-mingle", "--without-heartbeat")
    table = {
        **{name: _script("granian", *web, *calm, "gmud.wsgi:application") for name in _each("web", plan)},
        **{name: _celery(*worker, "-n", f"{name}@%h", "-Q", queues) for name, queues in WORKERS.items()},
        **{name: _celery(*beat, "-s", str(plan.data / name)) for name in _each("beat", plan)},
        **{name: _python("manage.py", "sealer") for name in _each("sealer", plan)},
    }
    return [Program(name, command, stage=HOUSE, lasting=name in WORKERS) for name, command in table.items()]


def _each(name: str, plan: Plan) -> list[str]:
    """Return the names of those that do the same; the web servers share one port, and the kernel deals out callers."""
    return [name] if plan.each == 1 else [f"{name}-{number}" for number in range(1, plan.each + 1)]


def _socket_in(data: Path) -> Path:
    """Return the place of the broker's socket; a folder too deep for a socket gets one in the user's runtime folder."""
    place = data / "broker.sock"
    if len(os.fsencode(place)) <= LONGEST_SOCKET_PATH:
        return place
    runtime = Path(os.environ.get("XDG_RUNTIME_DIR") or Path.home()) / ".gmud"
    runtime.mkdir(mode=0o700, parents=True, exist_ok=True)
    return runtime / f"broker-{data.stat().st_ino}.sock"


def _python(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, *arguments)


def _script(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(Path(sys.executable).parent / name), *arguments)


def _celery(*arguments: str) -> tuple[str, ...]:
    return _python("-m", "celery", "-q", "-A", "gmud.celery", "--workdir", str(ROOT), *arguments)
