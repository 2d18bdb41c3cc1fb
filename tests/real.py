"""``make test-real KUBECONFIG=…``: the contract of the traffic adapters against a live API server.

It runs what is served there in namespaces of its own, and says by name what it skips. Rights needed: those of a cluster
administrator on a cluster for tests (it makes namespaces, and speaks as somebody else once).
"""

import os
import subprocess
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gmud.settings")
import tests.environment  # noqa: F401 - a folder of its own before Django's settings are read
from releases.core.errors import GmudError
from tests.contract.traffic.stages import real

CONTRACT = "tests/contract/traffic/test_every_adapter.py"


def main() -> int:
    """Run it; return an exit code: nothing to run is none of our failures."""
    named = os.environ.get("KUBECONFIG", "")
    os.environ |= {real.KUBECONFIG: named, real.CONTEXT: os.environ.get("CONTEXT", "")}
    try:
        left = real.skipped(real.door_of(os.environ))
    except (GmudError, OSError) as error:
        print(f"Cannot use {named}: {error}")
        return 2
    for system, why in left.items():
        print(f"Skipped {system}: {why}", flush=True)
    if len(left) == len(real.System):
        print("0 passed, 0 failed, 0 skipped: there is nothing to run here")
        return 0
    options = ("-q", "--force-enable-socket", "-p", "no:cacheprovider", CONTRACT)
    return subprocess.run((sys.executable, "-m", "pytest", *options), check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
