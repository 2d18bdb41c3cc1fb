"""Flagger: it is told through the spec of its Canary; it rolls back when a hook of its own answers that it should.

Its hook is ours when it asks :data:`HOOK`: we answer yes while a rollback of ours waits for that traffic. It asks once
an interval of its analysis, in the phases :data:`RUNNING` only, and takes a status up to 202 as yes. It goes on by
itself, too, and asks :data:`CONFIRM` before: yes as far as a move of a release goes (fluxcd/flagger,
pkg/controller/scheduler.go and webhook.go; pkg/apis/flagger/v1beta1/canary.go for intervals).
"""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from releases.cluster.client import CANARIES, ClusterClient
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.traffic.drivers.asking import (
    PROGRESS_SECONDS,
    WHOLE,
    Book,
    Object,
    Verb,
    address,
    seconds,
    waits_elsewhere,
)
from releases.traffic.drivers.ports import Move, Progress, Wish
from releases.traffic.owners import FLAGGER

HOOK = "flagger/rollback"  # the end of the address that Flagger asks, below /api/v1/
CONFIRM = "flagger/confirm"
CONFIRMED = frozenset({"confirm-traffic-increase", "confirm-promotion"})
USUAL_INTERVAL, SHORTEST_INTERVAL = 60.0, 10.0
TURNS_TO_PROMOTE = 4  # to copy the version, to route all traffic there, to take the canary down, to say so
THRESHOLD = 10  # how many checks may fail, unless it is told otherwise
WAITS_TO_PROMOTE = "WaitingPromotion"
RUNNING = frozenset({"Progressing", "Waiting", WAITS_TO_PROMOTE})
FINISHING = frozenset({"Promoting", "Finalising"})
SUCCEEDED = frozenset({"Initialized", "Succeeded"})
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


def _is_moving(canary: Object) -> bool:
    return _phase(canary) in RUNNING | FINISHING


def _sends(change: dict[str, Any]) -> Callable[[ClusterClient, Object], None]:
    def send(cluster: ClusterClient, canary: Object) -> None:
        cluster.merge(CANARIES, *address(canary), {"spec": change})

    return send


def hooks(canary: Object) -> list[str]:
    """Return the addresses that a Canary asks whether it is to roll back."""
    found = _analysis(canary).get("webhooks", ())
    return [hook.get("url", "") for hook in found if hook.get("type") == "rollback"]


def interval(canary: Object) -> float:
    """Return how many seconds pass between two looks of Flagger."""
    found = seconds(_analysis(canary).get("interval", ""))
    return max(found, SHORTEST_INTERVAL) if found else USUAL_INTERVAL


def _is_ours(url: str, hook: str) -> bool:
    return urlsplit(url).path.endswith(f"/{hook}")


def _asks_us(canary: Object) -> bool:
    return any(_is_ours(url, HOOK) for url in hooks(canary))


def following(canary: Object, share: int) -> int:
    """Return the share that a Canary goes to next; after the last of its steps it promotes."""
    analysis = _analysis(canary)
    step, steps = int(analysis.get("stepWeight", 0)), [int(at) for at in analysis.get("stepWeights", ())]
    if share >= (steps[-1] if steps else analysis.get("maxWeight") or WHOLE):
        return WHOLE
    if step:
        return min(share + step, WHOLE)
    return next((at for at in steps if at > share), WHOLE) if not share or share in steps else WHOLE


def _shares(canary: Object) -> list[int]:
    """Return every share it goes to, one after the other."""
    found = [following(canary, 0)]
    while found[-1] < WHOLE:
        found.append(following(canary, found[-1]))
    return found


def _obstacle(canary: Object, move: Move) -> Sentence | None:
    """Return why it would not stop where the change does."""
    analysis, name = _analysis(canary), {"name": canary["metadata"]["name"]}
    asked = {hook.get("type") for hook in analysis.get("webhooks", ()) if _is_ours(hook.get("url", ""), CONFIRM)}
    if missing := CONFIRMED - asked:
        text = _("%(name)s goes on without asking GMUD: its analysis needs a hook for %(missing)s that asks it.")
        return Sentence(text, {**name, "missing": ", ".join(sorted(missing))})
    if canary["spec"].get("suspend") or canary["spec"].get("skipAnalysis"):
        text = _("%(name)s is suspended, or skips its analysis: take that out, and it asks GMUD before each step.")
        return Sentence(text, name)
    if analysis.get("iterations") or not (analysis.get("stepWeight") or analysis.get("stepWeights")):
        text = _("%(name)s has no steps of weights, so no share of it can be asked for. Give it stepWeight.")
        return Sentence(text, name)
    shares = _shares(canary)
    return None if move.percent in shares else waits_elsewhere(name["name"], move.percent, shares[:-1])


def _progress(canary: Object, move: Move) -> Progress:
    """Tell how it stands in a move. It goes on by itself as soon as it hears yes, and waits where it hears no."""
    version = _version(canary)
    analysis, share = _analysis(canary), _share(canary)
    obstacle, is_moving = _obstacle(canary, move), _is_moving(canary)
    is_promoted = _is_at_rest(canary) and bool(move.version) and version != move.version
    turns = sum(move.before < at <= move.percent for at in _shares(canary)) if obstacle is None else 0
    turns += analysis.get("threshold", THRESHOLD) + (TURNS_TO_PROMOTE if move.percent == WHOLE else 1)
    return Progress(
        has_arrived=is_promoted if move.percent == WHOLE else is_moving and share == move.percent,
        is_moving=is_moving or (bool(move.version) and version != move.version),
        mismatch=obstacle,
        obstacle=obstacle,
        following=following(canary, move.before),
        patience_seconds=turns * interval(canary) + canary["spec"].get("progressDeadlineSeconds", PROGRESS_SECONDS),
    )


def _share(canary: Object) -> int:
    """Return its share of the requests; once it waits to promote its status says 0, and its last step stands."""
    if _phase(canary) == WAITS_TO_PROMOTE:
        return max((at for at in _shares(canary) if at < WHOLE), default=0)
    return int((canary.get("status") or {}).get("canaryWeight", 0))


def _version(canary: Object) -> str:
    return str((canary.get("status") or {}).get("lastPromotedSpec", ""))


def _is_at_rest(canary: Object) -> bool:
    """Say whether what it watches is what serves: after a rollback, too, it takes the old version for nothing new."""
    applied = (canary.get("status") or {}).get("lastAppliedSpec", "")
    return _phase(canary) in SUCCEEDED | {ROLLED_BACK} and _version(canary) == applied


def _analysis(canary: Object) -> dict[str, Any]:
    return dict(canary["spec"].get("analysis", {}))


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
        Wish.ANALYSE: Verb(
            may=lambda canary: not _is_moving(canary),
            send=_sends({"skipAnalysis": False}),
            stands=lambda _before, now: not now["spec"].get("skipAnalysis"),
        ),
    },
    standing=_standing,
    way_back=Wish.ROLLBACK,
    patience=lambda canary: 2 * interval(canary) + USUAL_INTERVAL,
    progress=_progress,
    finishing=(Wish.RESUME, Wish.PROMOTE_FULLY),
    tidying=(Wish.ANALYSE,),
    version=_version,
    moves=_is_moving,
    promotes=lambda canary: _phase(canary) in FINISHING,
    rests=_is_at_rest,
    notices=lambda canary: 2 * interval(canary),
    untidy=lambda canary: canary["spec"].get("skipAnalysis") is True,
)
