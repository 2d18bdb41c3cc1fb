"""What counts as a digest, an address, a secret; who stands behind whom in the graph. Nothing here asks a table."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from releases.core.errors import Sentence
from releases.core.words import mark as _

Node = TypeVar("Node")

SHORTEST_SECRET = 8
LAST_FOUR_FROM = 16
EXPIRES_ON, AT_ONCE = "expires_on", "at_once"
USUALLY_AT_ONCE, MOST_AT_ONCE = 4, 50
# Settings of connections: how to sign in, whom to trust (PEM), a Kong's usual workspace, an APISIX's control APIs.
SIGN_IN, IN_CLUSTER = "sign_in", "in_cluster"
AUTHORITY, WORKSPACE, CONTROL = "authority", "workspace", "control"
OWN_CLUSTER = "https://kubernetes.default.svc"
ENDS_SOON = timedelta(days=14)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_PARAMETER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_VERSION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+-]{0,99}")
_HOST = re.compile(r"(?!-)[a-z0-9-]{1,63}(?<!-)(\.(?!-)[a-z0-9-]{1,63}(?<!-))*")
_NUMERIC = re.compile(r"(0x[0-9a-f]*|[0-9]+)")
_PATH = re.compile(r"(/[A-Za-z0-9._~-]+)*")
_TELLS = re.compile(
    r"(?i)(^|[_.-])(token|secret|password|passwd|passphrase|pwd|api_?-?key|apikey|credentials?|authorization|"
    r"private_?-?key|access_?-?key)s?($|[_.-])"
)
_USERINFO = re.compile(r"(?i)\b[a-z][a-z0-9+.-]*://[^/\s@]+@")
_SCHEMES = {"http": 80, "https": 443}
GIVEN_TO_EVERY_JOB = frozenset({"SERVICE", "ENVIRONMENT", "VERSION", "DIGEST", "SLOT"})
_DEFAULT_PASSWORDS = frozenset({"password", "changeme", "changeit", "administrator", "jenkins1", "12345678"})


def is_digest(text: str) -> bool:
    """Say whether this is ``sha256:`` and 64 lower-case hexadecimal digits; a tag never is."""
    return _DIGEST.fullmatch(text) is not None


def is_version(text: str) -> bool:
    """Say whether this is the name of a version: one plain word, which cannot be mistaken for a digest."""
    return _VERSION.fullmatch(text) is not None


def parameter_problem(name: str) -> Sentence | None:
    """Return why a change may not give a job a parameter of this name, or ``None``."""
    if _PARAMETER.fullmatch(name) is None:
        text = _("“%(name)s” is no name for a parameter: use letters, figures and underscores.")
        return Sentence(text, {"name": name[:80]})
    if name in GIVEN_TO_EVERY_JOB or name.startswith("GMUD_"):
        return Sentence(_("%(name)s is filled in for every job: leave it out."), {"name": name})
    return None


def origin_problem(origin: str) -> Sentence | None:
    """Return what is wrong with the address of an outside system, or ``None``.

    Strict, because two programs that read an address differently are how calls end up elsewhere.
    """
    if not origin.isascii() or any(letter.isspace() or letter in "\\%" for letter in origin):
        return Sentence(_("An address has plain letters only, without spaces, backslashes or percent signs."))
    try:
        parts = urlsplit(origin)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return Sentence(_("This is no address. Write it like https://host:port."))
    if parts.scheme not in _SCHEMES:
        return Sentence(_("An address starts with https:// or http://."))
    if "@" in parts.netloc:
        return Sentence(_("An address holds no user name or password. Use the fields for account and secret."))
    if "?" in origin or "#" in origin:
        return Sentence(_("An address ends before any ? or #."))
    if not _is_host(host) or port == 0:
        return Sentence(_("The host is a full name, or an address like 10.0.0.7 or [fd00::7]."))
    if _PATH.fullmatch(parts.path.rstrip("/")) is None or ".." in parts.path.split("/"):
        return Sentence(_("The path has plain words only, like /jenkins."))
    return None


def normal_origin(origin: str) -> str:
    """Return an address that has no problem in its one spelling: lower case, no default port, no slash at the end."""
    parts = urlsplit(origin)
    host = parts.hostname or ""
    host = f"[{ipaddress.ip_address(host).compressed}]" if ":" in host else host
    port = "" if parts.port in {None, _SCHEMES[parts.scheme]} else f":{parts.port}"
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def host_of(origin: str) -> str:
    """Return the host of an address, in lower case."""
    return urlsplit(origin).hostname or ""


def is_ip(host: str) -> bool:
    """Say whether this is an address in numbers, in its one spelling."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def secret_problem(secret: str) -> Sentence | None:
    """Return why this cannot be the secret of a connection, or ``None``."""
    if not (secret.isascii() and secret.isprintable()) or " " in secret:
        return Sentence(_("A secret has plain letters, digits and signs only, without spaces or line ends."))
    if len(secret) < SHORTEST_SECRET:
        return Sentence(
            _("A secret has at least %(n)s characters; a shorter one cannot be kept out of logs."),
            {"n": SHORTEST_SECRET},
        )
    if secret.casefold() in _DEFAULT_PASSWORDS or len(set(secret)) == 1:
        return Sentence(_("This is a default that everybody knows. Make a token of your own at the other system."))
    return None


def secret_named(settings: Mapping[str, object]) -> str:
    """Return the name of a setting that holds a secret in the open, as ``a.b`` when it stands inside another.

    A name gives it away (token, password, ...), and so does an address with a user and a password; empty when none.
    """
    for name, value in settings.items():
        if isinstance(value, Mapping):
            if inner := secret_named(value):
                return f"{name}.{inner}"
        elif value and (_TELLS.search(name) or _USERINFO.search(str(value))):
            return name
    return ""


def ends_on(settings: Mapping[str, object]) -> date | None:
    """Return the day on which a connection's secret ends, by its setting ``expires_on``; ``None`` when it tells none.

    :raises ValueError: it is no day
    """
    said = settings.get(EXPIRES_ON)
    return date.fromisoformat(str(said)) if said else None


def at_once(settings: Mapping[str, object]) -> int:
    """Return how many deployments may be under way at a connection at once, by its setting ``at_once``.

    :raises ValueError: it is no number from 1 to 50
    """
    said = settings.get(AT_ONCE, USUALLY_AT_ONCE)
    if not isinstance(said, int | str) or isinstance(said, bool) or not 1 <= int(said) <= MOST_AT_ONCE:
        raise ValueError(said)
    return int(said)


def ending(name: str, settings: Mapping[str, object], *, today: date) -> Sentence | None:
    """Return that the secret of a connection ends soon, or has ended; ``None`` while there is time."""
    last = ends_on(settings)
    if last is None or last - today > ENDS_SOON:
        return None
    ended = _("The secret of %(name)s ended on %(day)s. Put a new one in, and its last day.")
    ends = _("The secret of %(name)s ends on %(day)s. Put a new one in before, and its last day.")
    return Sentence(ended if last < today else ends, {"name": name, "day": last.isoformat()})


def addresses_in(said: object) -> tuple[str, ...]:
    """Return the addresses that a setting names: a list, or one text with commas."""
    many = said if isinstance(said, list) else str(said or "").split(",")
    return tuple(str(one).strip() for one in many if str(one).strip())


def own_cluster(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Return the addresses of the API server of the cluster that a pod runs in: its name, and what the kubelet told."""
    host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
    told = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
    return (OWN_CLUSTER, normal_origin(told)) if host else (OWN_CLUSTER,)


def last4(secret: str) -> str:
    """Return what is shown of a secret: four characters of a long one, nothing of a short one."""
    return secret[-4:] if len(secret) >= LAST_FOUR_FROM else ""


def _is_host(host: str) -> bool:
    if ":" in host:
        return is_ip(host) and "%" not in host
    if _HOST.fullmatch(host) is None:
        return False
    # What ends in a number is an address to most programs, in spellings they do not agree on (0x7f.1, 2130706433).
    return is_ip(host) if _NUMERIC.fullmatch(host.rsplit(".", 1)[-1]) else True


def hops_to(targets: Iterable[Node], callers: Mapping[Node, Iterable[Node]]) -> dict[Node, int]:
    """Return everything that reaches a target, with the fewest calls it takes; targets themselves are left out.

    ``callers`` maps each node to those that call it. Circles end by themselves: a node is counted once.
    """
    seen = set(targets)
    edge, hops, found = set(seen), 0, dict[Node, int]()
    while edge:
        hops += 1
        edge = {caller for node in edge for caller in callers.get(node, ())} - seen
        seen |= edge
        found.update(dict.fromkeys(edge, hops))
    return found
