"""Permits and receipts: compact JWS signed with Ed25519.

PyJWT accepts a list as ``aud`` and any ``typ`` (measured; design/trust.md, section 2), so both are checked here. No
header of the token chooses anything but which of our own keys to try.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ALGORITHM = "EdDSA"
PERMIT_TYPE = "gmud-permit+jwt"
RECEIPT_TYPE = "gmud-receipt+jwt"
ISSUER = "gmud"
REQUIRED = ("iss", "aud", "sub", "jti", "iat", "nbf", "exp", "art", "env", "svc", "act", "dec")


class BadSignature(Exception):
    """The token was not signed by one of these keys, or is no token of this kind."""


class BadClock(Exception):
    """The token is not valid yet, or no longer."""


class BadClaims(Exception):
    """The token is ours, but for something else."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a permit says; moments are aware, ``run`` is empty when the first redeemer may be any run."""

    jti: str
    audience: str
    change: str
    service: str
    environment: str
    artifact: str
    content: str
    intent: str
    run: str
    decision: str
    issued_at: datetime
    expires_at: datetime


def sign_permit(claims: Claims, *, kid: str, key: Ed25519PrivateKey) -> str:
    """Return the compact JWS of a permit."""
    payload = {
        "iss": ISSUER,
        "aud": claims.audience,
        "sub": claims.change,
        "jti": claims.jti,
        "iat": int(claims.issued_at.timestamp()),
        "nbf": int(claims.issued_at.timestamp()),
        "exp": int(claims.expires_at.timestamp()),
        "dig": claims.content,
        "art": claims.artifact,
        "env": claims.environment,
        "svc": claims.service,
        "act": claims.intent,
        "run": claims.run,
        "dec": claims.decision,
    }
    return jwt.encode(payload, key, algorithm=ALGORITHM, headers={"kid": kid, "typ": PERMIT_TYPE})


def sign_receipt(payload: Mapping[str, Any], *, kid: str, key: Ed25519PrivateKey) -> str:
    """Return the compact JWS of a decision, whatever the verdict; it verifies offline and never expires."""
    return jwt.encode({"iss": ISSUER, **payload}, key, algorithm=ALGORITHM, headers={"kid": kid, "typ": RECEIPT_TYPE})


def audience_of(*, intent: str, environment: str, service: str) -> str:
    """Return the one audience a permit is for."""
    return f"{intent}:{environment}:{service}"


def told(token: str) -> Mapping[str, Any]:
    """Return what a permit says of itself; nothing of it is verified.

    :raises BadSignature: it is no token
    """
    try:
        said: Mapping[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except jwt.PyJWTError as error:
        raise BadSignature(str(error)) from error
    return said


def verify(token: str, *, keys: Mapping[str, Ed25519PublicKey], audience: str, now: datetime) -> Mapping[str, Any]:
    """Return the payload of a permit that is signed by one of our keys, for this audience, at this moment.

    :raises BadSignature: unknown key, other algorithm or type, altered token
    :raises BadClock: before ``nbf`` or at or after ``exp``
    :raises BadClaims: another audience, a list of audiences, or a claim is missing
    """
    payload = _opened(token, keys=keys, kind=PERMIT_TYPE)
    missing = [name for name in REQUIRED if name not in payload]
    if missing or payload["iss"] != ISSUER:
        raise BadClaims(f"claims missing or foreign: {', '.join(missing) or 'iss'}")
    if not isinstance(payload["aud"], str) or payload["aud"] != audience:
        raise BadClaims(f"for {payload['aud']!r}, not {audience!r}")
    moment = now.timestamp()
    begins, ends = payload["nbf"], payload["exp"]
    if type(begins) is not int or type(ends) is not int or not begins <= moment < ends:
        raise BadClock(f"valid from {begins} until {ends}, now {moment:.0f}")
    return payload


def verify_receipt(token: str, *, keys: Mapping[str, Ed25519PublicKey]) -> Mapping[str, Any]:
    """Return the payload of a receipt signed by one of our keys.

    :raises BadSignature: unknown key, other algorithm or type, altered token
    """
    return _opened(token, keys=keys, kind=RECEIPT_TYPE)


def _opened(token: str, *, keys: Mapping[str, Ed25519PublicKey], kind: str) -> Mapping[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
        if header.get("typ") != kind or header.get("alg") != ALGORITHM or "crit" in header:
            raise BadSignature("not a token of this kind")
        key = keys.get(str(header.get("kid")))
        if key is None:
            raise BadSignature("signed by an unknown key")
        opened: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            options={"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False},
        )
    except jwt.PyJWTError as error:
        raise BadSignature(str(error)) from error
    return opened
