"""Permits: signed by us, for one audience, for minutes; everything else is refused."""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from releases.gate import keys, permits

NOW = datetime(2026, 9, 15, 22, 0, tzinfo=UTC)
KEY, FOREIGN = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
KEYS = {"p-1": KEY.public_key()}
AUDIENCE = permits.audience_of(intent="deploy", environment="production", service="ledgerwriter")
CLAIMS = permits.Claims(
    jti="1",
    audience=AUDIENCE,
    change="CHG-1042",
    service="ledgerwriter",
    environment="production",
    artifact=f"sha256:{'a' * 64}",
    content=f"sha256:{'b' * 64}",
    intent="deploy",
    run="jenkins:7",
    decision="d",
    issued_at=NOW,
    expires_at=NOW + timedelta(seconds=300),
)


def signed(claims: permits.Claims = CLAIMS, *, kid: str = "p-1", key: Ed25519PrivateKey = KEY) -> str:
    return permits.sign_permit(claims, kid=kid, key=key)


def forged(*, header: dict | None = None, algorithm: str = "EdDSA", key=KEY, **changed) -> str:
    payload = {**jwt.decode(signed(), options={"verify_signature": False}), **changed}
    headers = {"kid": "p-1", "typ": permits.PERMIT_TYPE, **(header or {})}
    return jwt.encode({k: v for k, v in payload.items() if v is not None}, key, algorithm=algorithm, headers=headers)


def verify(token: str, *, audience: str = AUDIENCE, at: datetime = NOW):
    return permits.verify(token, keys=KEYS, audience=audience, now=at)


def test_a_permit_of_ours_is_read_back():
    assert verify(signed())["art"] == CLAIMS.artifact


@pytest.mark.parametrize(
    "token",
    [
        "",
        "nothing",
        signed()[:-2] + ("AA" if not signed().endswith("AA") else "BB"),
        signed(key=FOREIGN),
        signed(kid="p-2"),
        signed(kid="../../p-1"),
        forged(header={"typ": "JWT"}),
        forged(header={"typ": permits.RECEIPT_TYPE}),
        forged(header={"crit": ["exp"]}),
        forged(algorithm="none", key=None),
        forged(algorithm="HS256", key="0" * 64),
    ],
)
def test_what_we_did_not_sign_as_a_permit_is_no_permit(token):
    with pytest.raises(permits.BadSignature):
        verify(token)


@pytest.mark.parametrize(
    "changed",
    [{"aud": [AUDIENCE]}, {"aud": "deploy:staging:ledgerwriter"}, {"iss": "gmud2"}, {"art": None}, {"exp": None}],
)
def test_a_permit_for_something_else_is_refused(changed):
    with pytest.raises(permits.BadClaims):
        verify(forged(**changed))


@pytest.mark.parametrize(("at", "holds"), [(-1, False), (0, True), (299, True), (300, False)])
def test_a_permit_holds_from_its_first_second_to_before_its_last(at, holds):
    moment = NOW + timedelta(seconds=at)
    if holds:
        assert verify(signed(), at=moment)
    else:
        with pytest.raises(permits.BadClock):
            verify(signed(), at=moment)


@pytest.mark.parametrize("changed", [{"exp": "9999999999"}, {"nbf": True}, {"exp": 1e300}])
def test_times_that_are_no_whole_numbers_are_refused(changed):
    with pytest.raises(permits.BadClock):
        verify(forged(**changed))


def test_a_receipt_verifies_offline_and_a_permit_is_no_receipt():
    receipt = permits.sign_receipt({"verdict": "deny"}, kid="p-1", key=KEY)

    assert permits.verify_receipt(receipt, keys=KEYS)["verdict"] == "deny"
    with pytest.raises(permits.BadSignature):
        permits.verify_receipt(signed(), keys=KEYS)


def age(folder: Path, kid: str, seconds: float) -> None:
    at = time.time() - seconds
    os.utime(folder / f"permit-{kid}.pem", (at, at))


def test_the_newest_key_signs_once_everybody_can_know_it_and_all_keys_verify(tmp_path: Path):
    old, new = keys.make(tmp_path), keys.make(tmp_path)

    for ages, signs in (((9000, 9000 - 1), new), ((9000, 301), new), ((9000, 100), old), ((100, 50), new)):
        age(tmp_path, old, ages[0])
        age(tmp_path, new, ages[1])
        assert keys.signing(tmp_path)[0] == signs, ages
    assert set(keys.verifying(tmp_path)) == {old, new}
    assert all(place.stat().st_mode & 0o777 == 0o600 for place in tmp_path.iterdir())


def test_the_published_key_set_is_enough_to_verify():
    published = keys.from_jwks(keys.jwks(KEYS))

    assert permits.verify(signed(), keys=published, audience=AUDIENCE, now=NOW)["jti"] == "1"
