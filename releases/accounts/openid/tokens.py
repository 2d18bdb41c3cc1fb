"""Whether an ID token is to be believed: signature, issuer, audience, time, nonce (OpenID Connect Core, 3.1.3.7).

Everything is checked although the token came straight from the provider: whoever can answer in its place, or mixes two
providers up, still needs a signature by its key over this client, this nonce and this moment.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any

import jwt

SKEW = timedelta(seconds=60)
LONGEST_SUBJECT = 255
# What signs with a private key; whoever verifies with a public one cannot be made to use it as a shared secret.
KEY_TYPES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
        **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
        "EdDSA": "OKP",
    }
)


class Untrusted(Exception):
    """What a provider said is not to be believed; the text says why, for the log and the record."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say: by whom, for whom, in answer to which request."""

    issuer: str
    client_id: str
    nonce: str


def check(token: str, keys: object, expected: Expected, *, now: datetime) -> Mapping[str, Any]:
    """Return what the token claims, after everything about it was checked.

    ``keys`` is the provider's JSON Web Key Set as it came.

    :raises Untrusted: one of the checks failed
    """
    try:
        header = jwt.get_unverified_header(token)
        algorithm = str(header.get("alg"))
        key = jwt.PyJWK(_key(keys, algorithm, header.get("kid")), algorithm)
        claims = jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            # Time is passed to us; the audience and the rest are checked below, more strictly.
            options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
        )
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise Untrusted(f"the token cannot be verified ({type(error).__name__})") from error
    _by_and_for(claims, expected)
    _in_time(claims, expected, now)
    if not _same(claims.get("nonce"), expected.nonce):
        raise Untrusted("the nonce is not the one we sent")
    return MappingProxyType(claims)


def since(claims: Mapping[str, Any], moment: datetime) -> None:
    """Let pass what was proved to the provider since then.

    :raises Untrusted: it was proved before, or the token does not say when
    """
    if _moment(claims, "auth_time") < moment.timestamp() - SKEW.total_seconds():
        raise Untrusted("the provider did not ask again who it is")


def asked_at(claims: Mapping[str, Any]) -> float | None:
    """Return when the provider last asked who it is (a session of its own asks nobody); ``None`` when it says nothing.

    In seconds since the epoch.
    """
    try:
        return _moment(claims, "auth_time")
    except Untrusted:
        return None


def joined(claims: Mapping[str, Any], userinfo: object) -> Mapping[str, Any]:
    """Return the claims with what the provider's user info adds; what the signed token says wins.

    :raises Untrusted: the user info is about somebody else
    """
    if not isinstance(userinfo, dict) or not _same(userinfo.get("sub"), claims["sub"]):
        raise Untrusted("the user info is about somebody else")
    return MappingProxyType({**userinfo, **claims})


def _key(keys: object, algorithm: str, named: object) -> dict[str, Any]:
    """Return the one key that fits; a token that names none is believed only when there is no choice."""
    wanted = KEY_TYPES.get(algorithm)
    if wanted is None:
        raise Untrusted(f"the algorithm {algorithm[:20]!a} is not one we take")
    found = keys.get("keys") if isinstance(keys, dict) else None
    fitting = [
        one
        for one in (found if isinstance(found, list) else [])
        if isinstance(one, dict)
        and one.get("kty") == wanted
        and one.get("use", "sig") == "sig"
        and one.get("alg", algorithm) == algorithm
        and (named is None or one.get("kid") == named)
    ]
    if len(fitting) != 1:
        raise Untrusted("the key is not one of the provider's")
    return fitting[0]


def _by_and_for(claims: Mapping[str, Any], expected: Expected) -> None:
    if not _same(claims.get("iss"), expected.issuer):
        raise Untrusted("another issuer")
    audience = claims.get("aud")
    many = audience if isinstance(audience, list) else [audience]
    if expected.client_id not in many:
        raise Untrusted("not for this client")
    party = claims.get("azp")
    if (len(many) > 1 or party is not None) and not _same(party, expected.client_id):
        raise Untrusted("for this client among others, but asked for by another one")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 0 < len(subject.strip()) <= LONGEST_SUBJECT or not subject.isprintable():
        raise Untrusted("nobody is named")


def _in_time(claims: Mapping[str, Any], expected: Expected, now: datetime) -> None:
    here, skew = now.timestamp(), SKEW.total_seconds()
    if not _moment(claims, "exp") > here - skew:
        raise Untrusted("it expired")
    if not _moment(claims, "iat") <= here + skew:
        raise Untrusted("it was issued in the future")
    if "nbf" in claims and not _moment(claims, "nbf") <= here + skew:
        raise Untrusted("it is not valid yet")


def _moment(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise Untrusted(f"{name} is missing")
    return float(value)


def _same(one: object, other: str) -> bool:
    return isinstance(one, str) and hmac.compare_digest(one.encode(), other.encode())
