"""Read a kubeconfig for what a connection needs: an address, whom to trust, and a token or a client certificate.

It is read once and never kept. Whatever in it would run a program, or names a file of the machine it was written on, is
refused with what to do instead: it comes from a person's computer, and GMUD runs elsewhere. Its fields are those of the
API ``Config`` v1 (https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/).
"""

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from releases.catalog.credentials import Credentials, pem_of
from releases.core.errors import Invalid, Sentence
from releases.core.words import mark as _

LARGEST = 256 * 1024
FIELD = "kubeconfig"
Json = Mapping[str, Any]

_EMBED = _(
    "“%(field)s” of %(name)s names a file on the computer this came from. Print it with everything inside: "
    "kubectl config view --raw --flatten --minify."
)
_OWN_ACCOUNT = _(
    "%(name)s signs in by running a program (%(program)s), which GMUD never does for a file. Give it an account of its "
    "own: apply the role that the page of the connection prints, then paste kubectl create token gmud "
    "--namespace gmud --duration 8760h as the secret; inside this cluster choose the pod's service account."
)
_NEVER: Mapping[str, str] = {
    "username": _("%(name)s signs in with a password, which Kubernetes no longer takes. Use a token."),
    "as": _("%(name)s acts as somebody else (as: %(said)s). Give GMUD an account of its own, with a role."),
    "insecure-skip-tls-verify": _(
        "%(name)s asks not to check whom it talks to (insecure-skip-tls-verify). Put the cluster's authority in "
        "instead: kubectl config set-cluster %(name)s --insecure-skip-tls-verify=false "
        "--certificate-authority=ca.crt --embed-certs."
    ),
    "proxy-url": _("%(name)s is reached through a proxy (proxy-url), which GMUD does not use. Name its own address."),
    "tls-server-name": _(
        "%(name)s wants its certificate checked against another name (tls-server-name: %(said)s). Use that name as "
        "the address of the server."
    ),
}


@dataclass(frozen=True, slots=True)
class Access:
    """What a kubeconfig says of one context."""

    context: str
    origin: str
    authority: str
    credentials: Credentials = field(repr=False)


def read(text: str, *, context: str = "") -> Access:
    """Return what a context says: the one that is named, the current one, or the only one.

    :raises Invalid: with the field ``kubeconfig`` or ``context``, and what to do
    """
    if len(text) > LARGEST:
        raise _wrong(_("This is larger than any kubeconfig."))
    try:
        body = yaml.load(text, Loader=yaml.CBaseLoader)  # noqa: S506 - it makes texts, lists and maps only
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise _wrong(_("This is no kubeconfig: it is not YAML.")) from error
    if not isinstance(body, dict) or not isinstance(body.get("contexts"), list):
        raise _wrong(_("This is no kubeconfig: it names no contexts."))
    chosen = _context(body, context)
    said = _named(body, "contexts", chosen, "context")
    cluster, user = _text(said, "cluster"), _text(said, "user")
    where, who = _named(body, "clusters", cluster, "cluster"), _named(body, "users", user, "user")
    _refuse(where, cluster, ("insecure-skip-tls-verify", "proxy-url", "tls-server-name"))
    _refuse(who, user, ("username", "as"))
    if not (server := _text(where, "server")):
        raise _wrong(_("The cluster %(name)s has no address (server)."), name=cluster)
    return Access(chosen, server, _pem(where, "certificate-authority", cluster), _credentials(who, user))


def _context(body: Json, asked: str) -> str:
    names = [_text(one, "name") for one in body["contexts"] if isinstance(one, dict)]
    chosen = asked or _text(body, "current-context") or (names[0] if len(names) == 1 else "")
    if chosen in names:
        return chosen
    parts = {"name": chosen, "names": ", ".join(sorted(names)) or "—"}
    text = _("There is no context %(name)s in it. It has: %(names)s.") if chosen else _("Name one of: %(names)s.")
    raise Invalid(Sentence(text, parts), fields={"context": [Sentence(text, parts)]})


def _named(body: Json, kind: str, name: str, inside: str) -> Json:
    rows = body.get(kind)
    found = [one for one in rows if isinstance(one, dict) and one.get("name") == name] if isinstance(rows, list) else []
    if len(found) != 1 or not isinstance(found[0].get(inside), dict):
        raise _wrong(_("Exactly one %(kind)s called %(name)s is needed in it."), kind=inside, name=name)
    said: Json = found[0][inside]
    return said


def _refuse(said: Json, name: str, fields: Sequence[str]) -> None:
    for one in fields:
        if said.get(one) not in (None, "", "false"):
            raise _wrong(_NEVER[one], name=name, said=_text(said, one)[:80])


def _credentials(who: Json, name: str) -> Credentials:
    for runs in ("exec", "auth-provider"):
        if isinstance(program := who.get(runs), dict):
            called = _text(program, "command") or _text(program, "name") or runs
            raise _wrong(_OWN_ACCOUNT, name=name, program=called[:80])
    if _text(who, "tokenFile"):
        raise _wrong(_EMBED, field="tokenFile", name=name)
    certificate, key = _pem(who, "client-certificate", name), _pem(who, "client-key", name)
    token = _text(who, "token")
    if not token and not certificate:
        raise _wrong(_("%(name)s has neither a token nor a client certificate to sign in with."), name=name)
    return Credentials(token, "\n".join(part for part in (certificate, key) if part))


def _pem(said: Json, name: str, of: str) -> str:
    """Return what is embedded under a name.

    :raises Invalid: it names a file, or is damaged
    """
    embedded = _text(said, f"{name}-data")
    if not embedded:
        if _text(said, name):
            raise _wrong(_EMBED, field=name, name=of)
        return ""
    try:
        found = pem_of(base64.b64decode(embedded, validate=True).decode())
    except (binascii.Error, ValueError):
        found = ""
    if not found:
        raise _wrong(_("“%(field)s” of %(name)s is damaged: it is no PEM in base64."), field=f"{name}-data", name=of)
    return found


def _text(said: Json, name: str) -> str:
    value = said.get(name)
    return value if isinstance(value, str) else ""


def _wrong(text: str, **parts: object) -> Invalid:
    sentence = Sentence(text, parts)
    return Invalid(sentence, fields={FIELD: [sentence]})
