"""A small house for the tests of the supervisor: programs come as JSON (name to Python source).

A program whose name begins with ``worker`` is a lasting one.
"""

import json
import os
import sys
from pathlib import Path

from gmud.run.group import Group, Program

if __name__ == "__main__":
    group = Group(folder=Path.cwd(), environment=os.environ, patience=(0.05, 0.05), grace=1.0)
    for name, source in json.loads(sys.argv[1]).items():
        group.start(Program(name, (sys.executable, "-u", "-c", source), lasting=name.startswith("worker")))
    group.serve()
    group.end()
    group.say("Everything has stopped.")
    sys.exit(int(group.failed))
