"""Run the Kubernetes stand-in as a process of its own."""

from pathlib import Path

from gmud.sandbox.keeping import Memory
from gmud.sandbox.kubernetes.api import Cluster
from gmud.sandbox.kubernetes.seed import bank_of_anthos, from_folder
from gmud.sandbox.server import arguments, serve, with_memory


def main() -> None:
    """Read the command line and serve until told to end."""
    parser = with_memory(arguments("A stand-in of a Kubernetes API server with Istio's resources."))
    parser.add_argument("--seed", type=Path, help="folder of YAML or JSON manifests; default: Bank of Anthos")
    asked = parser.parse_args()
    objects = from_folder(asked.seed) if asked.seed else bank_of_anthos()
    serve(Cluster(objects, memory=Memory(asked.state)), asked.port)


if __name__ == "__main__":
    main()
