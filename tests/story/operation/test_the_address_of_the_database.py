"""What an operator says in the address of the database holds, beside what is always asked of it."""

import json
import subprocess
import sys

from tests.house.tree import ROOT
from tests.story.operation.conftest import plain

SAID = "import json; from gmud.settings import DATABASES as d; print(json.dumps(d['default']['OPTIONS']))"


def test_what_the_address_asks_of_the_connection_is_kept_beside_the_limits_of_time():
    address = "postgres://gmud@db.example/gmud?sslmode=verify-full&sslrootcert=/etc/ca.pem"
    done = subprocess.run(
        [sys.executable, "-c", SAID], cwd=ROOT, env=plain() | {"DATABASE_URL": address}, capture_output=True, check=True
    )

    options = json.loads(done.stdout)
    assert (options["sslmode"], options["sslrootcert"]) == ("verify-full", "/etc/ca.pem")
    assert "statement_timeout=10000" in options["options"]
