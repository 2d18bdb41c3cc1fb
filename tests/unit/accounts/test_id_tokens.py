"""ID tokens that are believed, and all those that are not."""

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from releases.accounts.openid import groups, tokens
from releases.accounts.openid.client import checked, is_safe
from releases.accounts.openid.tokens import Expected, Untrusted
from releases.accounts.roles import Role

NOW = datetime(2026, 9, 15, 13, 30, tzinfo=UTC)
AT = int(NOW.timestamp())
EXPECTED = Expected(issuer="https://id.example", client_id="gmud", nonce="n-0S6_WzA2Mj")
GOOD = {
    "iss": "https://id.example",
    "aud": "gmud",
    "sub": "248289761001",
    "nonce": "n-0S6_WzA2Mj",
    "iat": AT,
    "exp": AT + 300,
}
RSA = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CURVE = ec.generate_private_key(ec.SECP256R1())
EDWARDS = ed25519.Ed25519PrivateKey.generate()


def jwk(key: Any, algorithm: str, **more: object) -> dict[str, Any]:
    known = jwt.algorithms.get_default_algorithms()[algorithm]
    return {**known.to_jwk(key.public_key(), as_dict=True), **more}


KEYS = {
    "keys": [
        jwk(RSA, "RS256", kid="one", use="sig", alg="RS256"),
        jwk(CURVE, "ES256", kid="two"),
        jwk(EDWARDS, "EdDSA", kid="three"),
    ]
}


def signed(*, key: Any = RSA, algorithm: str = "RS256", headers: dict[str, Any] | None = None, **changes: Any) -> str:
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": "one"} if headers is None else headers)


def by_hand(header: dict[str, Any], claims: dict[str, Any], sign: Any = lambda _text: b"") -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=") for one in (header, claims)]
    text = b".".join(parts)
    return (text + b"." + base64.urlsafe_b64encode(sign(text)).rstrip(b"=")).decode()


def public_pem() -> bytes:
    return RSA.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def check(token: str, keys: object = None) -> Any:
    return tokens.check(token, KEYS if keys is None else keys, EXPECTED, now=NOW)


@pytest.mark.parametrize(
    ("key", "algorithm", "kid"), [(RSA, "RS256", "one"), (CURVE, "ES256", "two"), (EDWARDS, "EdDSA", "three")]
)
def test_a_signed_token_for_us_is_believed(key, algorithm, kid):
    assert check(signed(key=key, algorithm=algorithm, headers={"kid": kid}))["sub"] == "248289761001"


def test_a_list_of_audiences_is_believed_when_we_are_the_party_that_asked():
    assert check(signed(aud=["gmud"]))
    assert check(signed(aud=["gmud", "other"], azp="gmud"))


def test_a_token_without_a_key_name_is_believed_when_there_is_no_choice():
    alone = {"keys": [jwk(RSA, "RS256")]}
    assert check(signed(headers={}), alone)


def test_a_minute_of_clock_difference_is_forgiven_and_no_more():
    assert check(signed(exp=AT - 59))
    assert check(signed(iat=AT + 59, nbf=AT + 59))
    for changes in ({"exp": AT - 61}, {"iat": AT + 61}, {"nbf": AT + 61}):
        with pytest.raises(Untrusted):
            check(signed(**changes))


BAD = {
    "wrong audience": lambda: signed(aud="other"),
    "wrong issuer": lambda: signed(iss="https://id.example.evil"),
    "issuer with a slash more": lambda: signed(iss="https://id.example/"),
    "wrong nonce": lambda: signed(nonce="another"),
    "no nonce": lambda: signed(nonce=None),
    "asked for by another party": lambda: signed(azp="other"),
    "list of audiences and no party": lambda: signed(aud=["gmud", "other"]),
    "list of audiences and another party": lambda: signed(aud=["gmud", "other"], azp="other"),
    "expired": lambda: signed(exp=AT - 3600),
    "no end": lambda: signed(exp=None),
    "end as text": lambda: signed(exp="tomorrow"),
    "no beginning": lambda: signed(iat=None),
    "from the future": lambda: signed(iat=AT + 3600),
    "nobody": lambda: signed(sub=None),
    "empty subject": lambda: signed(sub=" "),
    "subject that nobody sees": lambda: signed(sub="a\u202eb"),
    "subject with a NUL": lambda: signed(sub="a\x00b"),
    "subject too long": lambda: signed(sub="x" * 256),
    "not signed": lambda: by_hand({"alg": "none", "kid": "one"}, GOOD),
    "not signed in capitals": lambda: by_hand({"alg": "NONE", "kid": "one"}, GOOD),
    "signed with the public key as a secret": lambda: by_hand(
        {"alg": "HS256", "kid": "one"}, GOOD, lambda text: hmac.digest(public_pem(), text, sha256)
    ),
    "unknown key": lambda: signed(key=OTHER, headers={"kid": "nine"}),
    "another key under a known name": lambda: signed(key=OTHER),
    "another algorithm than the key's": lambda: signed(algorithm="RS512"),
    "a key of another kind": lambda: signed(headers={"kid": "two"}),
    "a key brought along": lambda: signed(key=OTHER, headers={"kid": "nine", "jwk": jwk(OTHER, "RS256")}),
    "a key from an address": lambda: signed(key=OTHER, headers={"kid": "nine", "jku": "https://evil.example/keys"}),
    "a name that is a path": lambda: signed(key=OTHER, headers={"kid": "../../one"}),
    "an unknown critical header": lambda: signed(headers={"kid": "one", "crit": ["b64"], "b64": False}),
    "changed after signing": lambda: signed()[:-12] + "AAAAAAAAAAAA",
    "a payload of another token": lambda: ".".join(
        [signed().split(".")[0], signed(sub="9").split(".")[1], signed().split(".")[2]]
    ),
    "rubbish": lambda: "rubbish",
    "nothing": lambda: "",
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_token_is_not_believed(name):
    with pytest.raises(Untrusted):
        check(BAD[name]())


@pytest.mark.parametrize(
    "keys",
    [
        {},
        [],
        {"keys": {}},
        {"keys": ["one"]},
        {"keys": [{"kty": "RSA", "kid": "one"}]},
        {"keys": [{"kty": "oct", "kid": "one", "k": "AAAA"}]},
        {"keys": [jwk(RSA, "RS256", kid="one", use="enc")]},
        {"keys": [jwk(RSA, "RS256", kid="one"), jwk(OTHER, "RS256", kid="one")]},
    ],
)
def test_keys_that_do_not_name_one_fitting_key_verify_nothing(keys):
    with pytest.raises(Untrusted):
        check(signed(), keys)


def test_a_fresh_sign_in_at_the_provider_is_one_since_it_was_asked_for():
    tokens.since({"auth_time": AT}, NOW)
    tokens.since({"auth_time": AT - 30}, NOW)
    for claims in ({}, {"auth_time": AT - 120}, {"auth_time": "now"}, {"auth_time": True}):
        with pytest.raises(Untrusted):
            tokens.since(claims, NOW)


def test_user_info_adds_and_never_overrules():
    joined = tokens.joined({"sub": "1", "name": "Ana"}, {"sub": "1", "name": "Eve", "groups": ["a"]})
    assert dict(joined) == {"sub": "1", "name": "Ana", "groups": ["a"]}


@pytest.mark.parametrize("userinfo", [{"sub": "2"}, {}, [], "1", None])
def test_user_info_about_somebody_else_is_not_believed(userinfo):
    with pytest.raises(Untrusted):
        tokens.joined({"sub": "1"}, userinfo)


@pytest.mark.parametrize(
    ("address", "is_fine"),
    [
        ("https://id.example/token", True),
        ("http://127.0.0.1:9400/token", True),
        ("http://[::1]:9400/token", True),
        ("http://localhost:9400/token", True),
        ("http://id.example/token", False),
        ("http://localhost.evil.example/token", False),
        ("http://127.0.0.1.evil.example/", False),
        ("http://2130706433/", False),
        ("https://user:pass@id.example/", False),
        ("http://user@127.0.0.1/", False),
        ("ftp://id.example/", False),
        ("file:///etc/passwd", False),
        ("https://", False),
        ("https://[", False),
        ("", False),
        (None, False),
        (["https://id.example"], False),
    ],
)
def test_a_provider_is_called_by_https_or_on_this_machine(address, is_fine):
    assert is_safe(address) is is_fine


def test_a_description_is_of_the_issuer_and_has_addresses_we_call():
    good = {
        "issuer": "https://id.example",
        "authorization_endpoint": "https://id.example/a",
        "token_endpoint": "https://id.example/t",
        "jwks_uri": "https://id.example/k",
    }
    assert checked(good, issuer="https://id.example") == good
    wrong = [
        {**good, "issuer": "https://evil.example"},
        {**good, "jwks_uri": "http://id.example/k"},
        {name: value for name, value in good.items() if name != "token_endpoint"},
        [],
        None,
    ]
    for document in wrong:
        with pytest.raises(Untrusted):
            checked(document, issuer="https://id.example")


def test_groups_carry_the_roles_the_operator_gave_them():
    mapping = groups.mapping('{"g-1": ["engineer"], "g-2": ["owner", "auditor"]}')
    claims = {"groups": ["g-2", "g-1", "unknown", 7, None]}
    assert groups.roles_of(claims, claim="groups", mapping=mapping) == {Role.ENGINEER, Role.OWNER, Role.AUDITOR}
    assert groups.roles_of({"groups": "g-1"}, claim="groups", mapping=mapping) == {Role.ENGINEER}


@pytest.mark.parametrize(
    "claims", [{}, {"groups": None}, {"groups": {"g-1": True}}, {"groups": 1}, {"_claim_names": {}}]
)
def test_a_claim_that_is_missing_or_no_list_names_no_group(claims):
    assert groups.roles_of(claims, claim="groups", mapping={"g-1": frozenset({Role.OWNER})}) == frozenset()


@pytest.mark.parametrize("text", ["[]", '{"g": "owner"}', '{"g": []}', '{"g": ["king"]}', "{", '{"g": [1]}'])
def test_a_mapping_that_cannot_be_meant_is_refused(text):
    with pytest.raises(ValueError, match=r"."):
        groups.mapping(text)


def test_no_mapping_maps_nothing():
    assert groups.mapping("  ") == {}


def test_a_moment_is_passed_never_asked(time_machine):
    time_machine.move_to(NOW + timedelta(days=3650))
    assert check(signed())
