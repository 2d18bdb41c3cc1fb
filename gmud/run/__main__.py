"""Start the house: ``python -m gmud.run --port 8000``."""

import argparse
import fcntl
import http.client
import json
import os
import socket
import sys
from pathlib import Path
from typing import IO

from gmud.env import DATA, ROOT
from gmud.run import plan as plans
from gmud.run.group import Group
from gmud.run.plan import Plan
from gmud.servers import accepts, answers_ping

READY_SECONDS = 120.0


def main() -> int:
    """Run until somebody stops it; return an exit code."""
    parser = argparse.ArgumentParser(prog="python -m gmud.run", description=__doc__)
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--host", default="127.0.0.1")
    given = parser.parse_args()
    data = DATA.resolve()
    data.mkdir(mode=0o700, parents=True, exist_ok=True)
    held = _hold(data / "run.lock")
    if held is None:
        return _refuse(f"This house is running already (folder {data}): stop it, or name another folder in GMUD_DATA.")
    with held:
        try:
            plan = plans.make(data=data, host=given.host, port=given.port, environment=os.environ)
        except plans.BadSetting as error:
            return _refuse(str(error))
        for port in plan.ports:
            if not _is_free(plan.host, port):
                return _refuse(plans.why_taken(plan, port))
        return _run(plan)


def _run(plan: Plan) -> int:
    plans.make_room(plan)
    group = Group(folder=ROOT, environment=plans.environment_of(plan, os.environ))
    try:
        opened = _open(group, plan)
        if opened:
            group.say(welcome(plan))
            group.serve()
        failed = group.failed or not (opened or group.stopping)
    finally:
        group.end()
    group.say("Everything has stopped.")
    return int(failed)


def _open(group: Group, plan: Plan) -> bool:
    """Start everything in order; return whether the house answers that it is ready."""
    for program in plans.broker(plan) + plans.sandboxes(plan):
        group.start(program)
    group.say("Making the database ready ...")
    if not group.finish(plans.prepare()):
        if not group.stopping:
            group.say("The database could not be made ready; the reason stands above.")
        return False
    broker, ports = plan.broker, plan.sandboxes.values()
    if not group.until(
        lambda: (broker is None or answers_ping(broker)) and all(accepts(port) for port in ports), seconds=READY_SECONDS
    ):
        return False
    group.say("Opening the house ...")
    for program in plans.house(plan):
        group.start(program)
    if group.until(lambda: _status(plan, "/readyz") == http.HTTPStatus.OK, seconds=READY_SECONDS):
        return True
    if not group.stopping:
        group.say(f"The house is not ready after {READY_SECONDS:.0f} s; {plan.address}/readyz says what is missing.")
    return False


def welcome(plan: Plan) -> str:
    """Return what is said when the house is open: the address, who can sign in, what to try."""
    lines = ["", f"The house is open: {plan.address}", ""]
    story = plan.data / "demo.json"
    if plan.demo and story.exists():
        known = json.loads(story.read_text())
        lines += ["Sign in as (user name, password):"]
        lines += [
            f"  {account['role']:<24} {account['username']:<16} {account['password']}" for account in known["accounts"]
        ]
        lines += ["", f"Things to try (everything is new again once {plan.data} is removed):"]
        tries = [text.format(address=plan.address) for text in known["try"]]
        lines += [f"  {number}. {text}" for number, text in enumerate(tries, start=1)]
    elif not plan.demo:
        lines += ["The first owner of an empty installation: manage.py bootstrap"]
    return "\n".join([*lines, "", "Ctrl-C stops everything; what you did is kept."])


def _status(plan: Plan, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", plan.port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def _is_free(host: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def _hold(place: Path) -> IO[str] | None:
    """Return the folder's lock, or ``None`` when another house holds it; the kernel lets go when we end."""
    lock = place.open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        return None
    return lock


def _refuse(sentence: str) -> int:
    sys.stderr.write(sentence + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
