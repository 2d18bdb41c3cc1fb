"""Run the Spinnaker stand-in as a process of its own.

``python -m gmud.sandbox.spinnaker --port 8084 --gate-url http://127.0.0.1:8000 --kubernetes http://127.0.0.1:8082``
"""

import argparse
import json
from pathlib import Path

from gmud.sandbox.keeping import Memory
from gmud.sandbox.server import arguments, serve, with_memory
from gmud.sandbox.spinnaker.api import Gate
from gmud.sandbox.spinnaker.clouds import Clouds
from gmud.sandbox.spinnaker.models import pipeline_from
from gmud.sandbox.spinnaker.seed import webhooks
from gmud.sandbox.spinnaker.work import Works


def main() -> None:
    """Read the command line and serve until told to end."""
    parser = with_memory(arguments("A stand-in of Spinnaker: Gate, with what stands behind it."))
    parser.add_argument("--gate-url", default="", help="where permits are redeemed")
    parser.add_argument("--gate-token-file", type=Path, help="file with the bearer token for the gate")
    parser.add_argument("--kubernetes", default="", help="address of the cluster that is deployed to")
    parser.add_argument("--kubernetes-token", default="sandbox-full", help="bearer token for the cluster")
    parser.add_argument("--speed", type=float, default=1.0, help="how much faster than the real waits")
    parser.add_argument(
        "--config", type=Path, help='JSON: {"pipelines": [{"application": …, "name": …, "stages": […]}]}'
    )
    given = parser.parse_args()
    pipelines = None
    if given.config:
        found = [pipeline_from(one) for one in json.loads(given.config.read_text())["pipelines"]]
        pipelines = {f"{one.application}/{one.name}": one for one in found}
    clouds = Clouds(given.kubernetes, given.kubernetes_token)
    works = Works(clouds, lambda: webhooks(given.gate_url, _token(given)))
    serve(Gate(works, pipelines=pipelines, speed=given.speed, memory=Memory(given.state)), given.port)


def _token(given: argparse.Namespace) -> str:
    place = given.gate_token_file
    return place.read_text().strip() if place and place.exists() else ""


if __name__ == "__main__":
    main()
