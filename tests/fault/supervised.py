"""Workers under the supervisor of ``make run``; their commands come as JSON (name to arguments)."""

import json
import os
import sys

from gmud.run.group import Group, Program
from tests.fault.harness import ROOT

if __name__ == "__main__":
    group = Group(folder=ROOT, environment=os.environ, patience=(0.1,), grace=5.0)
    for name, command in json.loads(sys.argv[1]).items():
        group.start(Program(name, tuple(command), lasting=True))
    group.serve()
    group.end()
