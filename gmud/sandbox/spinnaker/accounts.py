"""Who may speak to the sandbox's Gate: by API token, in either of its headers, or by name and password."""

import base64
import binascii
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from gmud.sandbox.server import Call

Account = Mapping[str, Any]
TOKEN = "spk_" + hashlib.md5(b"gmud sandbox", usedforsecurity=False).hexdigest()  # the shape of a real API token
ACCOUNTS: Mapping[str, Mapping[str, Any]] = {
    "gmud": {
        "token": TOKEN,
        "password": "correct horse battery",
        "rights": ["EXECUTE", "WRITE"],
        "roles": ["releasers"],
    },
    "reader": {"token": TOKEN[::-1], "rights": [], "roles": []},
    "operator": {"password": "staple battery horse", "rights": ["EXECUTE", "WRITE"], "roles": ["oncall"]},
}


class Unknown(Exception):
    """The token or the password is wrong."""


def caller(call: Call, accounts: Mapping[str, Account]) -> str:
    """Return who calls; empty for nobody.

    :raises Unknown: nobody has this token or password
    """
    kind, _, code = call.headers.get("authorization", "").partition(" ")
    token = call.headers.get("x-spinnaker-token") or (code if kind.lower() == "bearer" else "")
    if token:
        return _whose(accounts, lambda name, account: account.get("token") == token)
    if kind.lower() != "basic":
        return ""
    try:
        user, _, secret = base64.b64decode(code, validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise Unknown from error
    return _whose(accounts, lambda name, account: name == user and account.get("password") == secret)


def _whose(accounts: Mapping[str, Account], fits: Callable[[str, Account], bool]) -> str:
    for name, account in accounts.items():
        if fits(name, account):
            return name
    raise Unknown
