"""Render the chart with its defaults into ``deploy/kubernetes.yaml``: ``python -m tests.house.chart`` (needs helm).

The rendered file is for clusters without helm, and for the tests: it says which chart it was made from.
"""

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from tests.house.tree import ROOT

CHART = Path("deploy/helm/gmud")
RENDERED = Path("deploy/kubernetes.yaml")
COMMAND = ("template", "gmud", str(CHART), "--kube-version", "1.31.0")


def digest(root: Path) -> str:
    """Return the digest of everything in the chart."""
    found = hashlib.sha256()
    for path in sorted((root / CHART).rglob("*")):
        if path.is_file():
            found.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def header(root: Path) -> str:
    """Return the lines that the rendered file begins with."""
    return f"# The chart of sha256:{digest(root)}\n# rendered by: helm {' '.join(COMMAND)}\n"


def rendered(root: Path, helm: str) -> str:
    """Return what helm makes of the chart, after it found no fault with it."""
    subprocess.run([helm, "lint", "--strict", str(CHART)], cwd=root, capture_output=True, text=True, check=True)
    done = subprocess.run([helm, *COMMAND], cwd=root, capture_output=True, text=True, check=True)
    return header(root) + done.stdout


if __name__ == "__main__":
    helm = shutil.which("helm")
    if helm is None:
        sys.exit("helm is not installed; the chart was not rendered")
    (ROOT / RENDERED).write_text(rendered(ROOT, helm))
