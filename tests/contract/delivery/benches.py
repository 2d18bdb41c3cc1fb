"""One bench for each CI system: its adapter before its stand-in, and hands that make the stand-in behave."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from releases.delivery.ports import DeliveryProvider, Handle, Order, Sighting, Target
from tests.contract.delivery.jenkins_bench import jenkins_bench
from tests.contract.delivery.spinnaker_bench import spinnaker_bench


class Bench(Protocol):
    """What the contract asks of an adapter's surroundings.

    ``target`` is a job that works, ``missing`` one that is not there; ``password`` is the secret the adapter signs in
    with.
    """

    adapter: DeliveryProvider
    target: Target
    missing: Target
    url: str
    password: str

    def order(self, key: str = "") -> Order:
        """Return an order for the target with a permit of its own."""

    def hold(self) -> None:
        """Let runs begin, but not end."""

    def release(self) -> None:
        """Let them go on."""

    def queue(self) -> None:
        """Let orders be taken, but not begin."""

    def fail(self) -> None:
        """Let runs fail from here on."""

    def ask(self, text: str) -> None:
        """Let runs ask this question before they end."""

    def disable(self) -> None:
        """Let the job take no orders."""

    def lose_answer(self) -> None:
        """Let the next start be carried out, and its answer be lost."""

    def refuse(self, do: str) -> None:
        """Let the next start meet this fault instead, nothing being carried out."""

    def break_reads(self, do: str) -> None:
        """Let everything that is read meet this fault until :meth:`mend`."""

    def mend(self) -> None:
        """Take every planted fault away."""

    def forget(self, handle: Handle) -> None:
        """Delete the run there."""

    def stop_elsewhere(self, handle: Handle) -> None:
        """Let somebody else end the run."""

    def started(self) -> int:
        """Return how many orders were really taken there, those that wait included."""

    def asked(self) -> list[dict[str, Any]]:
        """Return every request that reached the stand-in."""

    def orders(self) -> list[dict[str, Any]]:
        """Return those requests that begin a run."""

    def until(self, handle: Handle, seen: Callable[[Sighting], bool]) -> Sighting:
        """Look until it is so."""

    def ended(self, handle: Handle) -> Sighting:
        """Look until it ended."""


BENCHES: Mapping[str, Callable[[], AbstractContextManager[Bench]]] = {
    "jenkins": jenkins_bench,
    "spinnaker": spinnaker_bench,
}
