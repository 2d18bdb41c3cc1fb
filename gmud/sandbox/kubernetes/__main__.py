"""Run the Kubernetes stand-in as a process of its own."""

from pathlib import Path

from gmud.sandbox.keeping import Memory
from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.kubernetes.seed import bank_of_anthos, from_folder
from gmud.sandbox.server import arguments, serve, with_memory

PLANE = "what splits the traffic of a service of the bank instead of Istio: linkerd, gateway, or a gateway outside"


def main() -> None:
    """Read the command line and serve until told to end."""
    parser = with_memory(arguments("A stand-in of a Kubernetes API server with the routes of three meshes."))
    parser.add_argument("--seed", type=Path, help="folder of YAML or JSON manifests; default: Bank of Anthos")
    parser.add_argument("--plane", action="append", default=[], metavar="SERVICE=PLANE", help=PLANE)
    asked = parser.parse_args()
    planes = dict(one.split("=", 1) for one in asked.plane)
    objects = from_folder(asked.seed) if asked.seed else bank_of_anthos(planes)
    serve(Cluster(objects, memory=Memory(asked.state)), asked.port)


if __name__ == "__main__":
    main()
