"""What a kubeconfig says of a connection, and what it asks for that GMUD never does."""

import base64
import itertools
import json
import string
from pathlib import Path

import pytest
import yaml

from releases.catalog import kubeconfig
from releases.core.errors import Invalid
from tests.factories.certificates import a_certificate

TOKEN = "eyJhbGciOi.canary-token.0123456789"


@pytest.fixture(scope="module")
def pem(tmp_path_factory):
    return Path(a_certificate(tmp_path_factory.mktemp("pem"))).read_text()


def boxed(text):
    return base64.b64encode(text.encode()).decode()


def config(*, cluster=None, user=None, **more):
    """Return a kubeconfig of two contexts, of which one is current."""
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "prod-admin",
        "clusters": [{"name": "prod", "cluster": {"server": "https://k8s.example:6443", **(cluster or {})}}],
        "users": [{"name": "admin", "user": {"token": TOKEN} if user is None else user}],
        "contexts": [
            {"name": "prod-admin", "context": {"cluster": "prod", "user": "admin"}},
            {"name": "lost", "context": {"cluster": "gone", "user": "admin"}},
        ],
        **more,
    }
    return yaml.safe_dump(body)


def problem(text, **asked):
    with pytest.raises(Invalid) as raised:
        kubeconfig.read(text, **asked)
    ((field, (sentence, *_)),) = raised.value.fields.items()
    return field, str(sentence)


def test_a_token_the_address_and_the_embedded_authority_are_read(pem):
    access = kubeconfig.read(config(cluster={"certificate-authority-data": boxed(pem)}))
    assert (access.context, access.origin) == ("prod-admin", "https://k8s.example:6443")
    assert (access.credentials.token, access.credentials.certificate) == (TOKEN, "")
    assert access.authority.startswith("-----BEGIN CERTIFICATE-----")
    assert TOKEN not in repr(access)


def test_a_client_certificate_and_its_key_are_read_together(pem):
    certificate, key = pem.split("-----BEGIN PRIVATE KEY-----")
    user = {
        "client-certificate-data": boxed(certificate),
        "client-key-data": boxed("-----BEGIN PRIVATE KEY-----" + key),
    }
    assert kubeconfig.read(config(user=user)).credentials.certificate.split() == pem.split()


def test_a_token_of_digits_keeps_its_zeros_and_json_is_yaml_too():
    text = json.dumps(yaml.safe_load(config(user={"token": "0012345678"})))
    assert kubeconfig.read(text).credentials.token == "0012345678"
    assert (
        kubeconfig.read(
            "users: [{name: u, user: {token: 0012345678}}]\n"
            + config(users=[]).replace("users: []\n", "").replace("user: admin", "user: u")
        ).credentials.token
        == "0012345678"
    )


@pytest.mark.parametrize(
    ("asked", "more", "told"),
    [
        ("staging", {}, "There is no context staging in it. It has: lost, prod-admin."),
        ("", {"current-context": ""}, "Name one of: lost, prod-admin."),
        ("", {"current-context": "old"}, "There is no context old in it."),
    ],
)
def test_contexts_are_named_when_the_one_meant_is_not_clear(asked, more, told):
    field, said = problem(config(**more), context=asked)
    assert field == "context"
    assert told in said


@pytest.mark.parametrize(
    ("user", "words"),
    [
        (
            {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "aws", "args": ["eks", "get-token"]}},
            ["running a program (aws)", "kubectl create token gmud", "the pod's service account"],
        ),
        ({"auth-provider": {"name": "gcp", "config": {}}}, ["running a program (gcp)", "kubectl create token gmud"]),
        ({"tokenFile": "token"}, ["“tokenFile” of admin names a file", "--flatten"]),
        ({"client-certificate": "../admin.crt", "client-key": "../admin.key"}, ["“client-certificate”", "--flatten"]),
        ({"client-certificate": "/etc/kubernetes/admin.crt"}, ["“client-certificate”", "--flatten"]),
        ({"username": "admin", "password": "x"}, ["signs in with a password", "Use a token"]),
        ({"token": TOKEN, "as": "root"}, ["as: root", "a role"]),
        ({"client-certificate-data": "no base64!"}, ["“client-certificate-data” of admin is damaged"]),
        ({}, ["neither a token nor a client certificate"]),
    ],
    ids=["exec", "auth-provider", "token file", "relative path", "absolute path", "password", "as", "damaged", "none"],
)
def test_what_cannot_sign_in_here_is_refused_with_what_to_do_instead(user, words):
    field, said = problem(config(user=user))
    assert field == "kubeconfig"
    assert not [word for word in words if word not in said]
    assert TOKEN not in said


@pytest.mark.parametrize(
    ("cluster", "words"),
    [
        ({"insecure-skip-tls-verify": True}, ["insecure-skip-tls-verify=false", "--certificate-authority=ca.crt"]),
        ({"certificate-authority": "ca.crt"}, ["“certificate-authority” of prod names a file", "--flatten"]),
        ({"proxy-url": "http://proxy:3128"}, ["proxy-url"]),
        ({"tls-server-name": "kubernetes"}, ["tls-server-name: kubernetes"]),
        ({"server": ""}, ["has no address"]),
    ],
    ids=["insecure", "authority's path", "proxy", "another name", "no address"],
)
def test_what_would_not_be_checked_or_is_elsewhere_is_refused_with_the_fix(cluster, words):
    _field, said = problem(config(cluster=cluster))
    assert not [word for word in words if word not in said]


def test_insecure_that_says_false_is_no_wish():
    assert kubeconfig.read(config(cluster={"insecure-skip-tls-verify": False})).origin


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "just words",
        "[]",
        "kind: Config",
        config(clusters="no list"),
        config(users=[{"name": "admin"}]),
        "contexts: [{name: a, context: {cluster: *b, user: c}}]",
        "&a [*a, *a]",
        "x" * (kubeconfig.LARGEST + 1),
    ],
)
def test_what_is_no_kubeconfig_is_told_so_at_its_field(text):
    assert problem(text)[0] == "kubeconfig"


def test_aliases_inside_aliases_are_not_unfolded():
    lines = [f"{one}: &{one} [*{before}, *{before}]" for before, one in itertools.pairwise(string.ascii_lowercase)]
    bomb = "\n".join(["a: &a [x, x]", *lines, "contexts: [{name: c, context: {cluster: *z, user: *z}}]"])
    assert problem(bomb)[0] == "kubeconfig"
