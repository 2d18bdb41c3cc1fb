"""Flagger: it is told through the spec of its Canary; it rolls back when a hook of its own answers that it should.

Its hook is ours when it asks :data:`HOOK`: we answer yes while a rollback of ours waits for that traffic. It asks once
an interval of its analysis, in the phases :data:`RUNNING` only, and takes a status up to 202 as yes (fluxcd/flagger,
pkg/controller/scheduler.go and webhook.go; pkg/apis/flagger/v1beta1/canary.go for intervals).
"""

import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from releases.cluster.client import CANARIES, ClusterClient
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic.drivers.asking import Book, Object, Verb, address
from releases.traffic.drivers.ports import Wish
from releases.traffic.owners import FLAGGER

WHOLE = 100
HOOK = "flagger/rollback"  # the end of the address that Flagger asks, below /api/v1/
USUAL_INTERVAL, SHORTEST_INTERVAL = 60.0, 10.0
_SPAN = re.compile(r"(\d+(?:\.\d+)?)(ms|h|m|s)")
_SECONDS = {"h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
RUNNING = frozenset({"Progressing", "Waiting", "WaitingPromotion"})
ROLLED_BACK = "Failed"
_PLURALS = {"istio": ("virtualservices",), "gatewayapi": ("httproutes",), "smi": ("trafficsplits",)}
_ANY = ("virtualservices", "httproutes", "trafficsplits")


def references(canary: Object) -> Iterator[tuple[str, str, str]]:
    """Iterate plural, namespace and name of every route that a Canary drives: it bears the name of the service.

    Without a provider of its own it uses its controller's, which is not known here.
    """
    namespace, _name = address(canary)
    spec = canary["spec"]
    apex = spec.get("service", {}).get("name") or spec["targetRef"]["name"]
    provider = spec.get("provider", "").partition(":")[0]
    for plural in _PLURALS.get(provider, _ANY if not provider else ()):
        yield plural, namespace, apex


def _phase(canary: Object) -> str:
    return str((canary.get("status") or {}).get("phase", ""))


def _is_running(canary: Object) -> bool:
    return _phase(canary) in RUNNING


def _sends(change: dict[str, Any]) -> Callable[[ClusterClient, Object], None]:
    def send(cluster: ClusterClient, canary: Object) -> None:
        cluster.merge(CANARIES, *address(canary), {"spec": change})

    return send


def hooks(canary: Object) -> list[str]:
    """Return the addresses that a Canary asks whether it is to roll back."""
    found = canary["spec"].get("analysis", {}).get("webhooks", ())
    return [hook.get("url", "") for hook in found if hook.get("type") == "rollback"]


def interval(canary: Object) -> float:
    """Return how many seconds pass between two looks of Flagger."""
    written = str(canary["spec"].get("analysis", {}).get("interval", ""))
    seconds = sum(float(number) * _SECONDS[unit] for number, unit in _SPAN.findall(written))
    return max(seconds, SHORTEST_INTERVAL) if seconds else USUAL_INTERVAL


def _asks_us(canary: Object) -> bool:
    return any(urlsplit(url).path.endswith(f"/{HOOK}") for url in hooks(canary))


def _may_roll_back(canary: Object) -> bool:
    return _is_running(canary) and _asks_us(canary) and not canary["spec"].get("skipAnalysis")


def _let_it_ask(cluster: ClusterClient, canary: Object) -> None:
    """Resume it where it is suspended; else send nothing. Flagger asks by itself, and the answer is in our own tables.

    Its next turn asks the hook before it takes a further step, unless the analysis is skipped.
    """
    if canary["spec"].get("suspend"):
        _sends({"suspend": False})(cluster, canary)


def _standing(canary: Object) -> tuple[str, int | None, int, tuple[Sentence, ...]]:
    warnings: list[Sentence] = []
    if canary["spec"].get("suspend"):
        warnings.append(Sentence(_("Flagger is suspended here: nobody moves this traffic until it is resumed.")))
    if canary["spec"].get("skipAnalysis"):
        text = _("skipAnalysis stands in this Canary: nothing is analysed or rolled back. Take it out once it is done.")
        warnings.append(Sentence(text))
    if not hooks(canary):
        text = _(
            "Flagger rolls back when its rollback hook says so, and this Canary has none. Add one to its analysis."
        )
        warnings.append(Sentence(text))
    elif not _asks_us(canary):
        text = _("The rollback hook of this Canary asks %(host)s and not GMUD: add one that asks GMUD.")
        hosts = sorted({urlsplit(url).hostname or "?" for url in hooks(canary)})
        warnings.append(Sentence(text, {"host": ", ".join(hosts)}))
    return _phase(canary), (canary.get("status") or {}).get("canaryWeight"), WHOLE, tuple(warnings)


BOOK = Book(
    system=FLAGGER,
    kind=CANARIES,
    called="Canary",
    verbs={
        Wish.PAUSE: Verb(
            may=lambda _canary: True,
            send=_sends({"suspend": True}),
            stands=lambda _before, now: now["spec"].get("suspend") is True,
        ),
        Wish.RESUME: Verb(
            may=lambda _canary: True,
            send=_sends({"suspend": False}),
            stands=lambda _before, now: not now["spec"].get("suspend"),
        ),
        Wish.PROMOTE_FULLY: Verb(
            may=_is_running,
            send=_sends({"skipAnalysis": True}),
            stands=lambda _before, now: now["spec"].get("skipAnalysis") is True,
        ),
        Wish.ROLLBACK: Verb(
            may=_may_roll_back, send=_let_it_ask, stands=lambda _before, now: _phase(now) == ROLLED_BACK
        ),
    },
    standing=_standing,
    way_back=Wish.ROLLBACK,
    patience=lambda canary: 2 * interval(canary) + USUAL_INTERVAL,
)
