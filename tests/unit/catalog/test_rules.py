"""Digests, addresses, secrets and the graph."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.catalog import rules

HEX = "0123456789abcdef"


@given(st.text(HEX, min_size=64, max_size=64))
def test_sha256_and_64_digits_are_a_digest(digits):
    assert rules.is_digest(f"sha256:{digits}")


@pytest.mark.parametrize(
    "text",
    [
        "latest",
        "app:latest",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "SHA256:" + "a" * 64,
        "sha512:" + "a" * 64,
        " sha256:" + "a" * 64,
        "sha256:" + "a" * 64 + "\n",
        "a" * 64,
    ],
)
def test_a_tag_or_anything_else_is_no_digest(text):
    assert not rules.is_digest(text)


def test_a_version_cannot_be_mistaken_for_a_digest():
    assert rules.is_version("v0.6.10")
    assert not rules.is_version("sha256:" + "a" * 64)
    assert not rules.is_version("v1 or v2")
    assert not rules.is_version("")


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("https://ci.example.com", "https://ci.example.com"),
        ("https://ci.example.com/", "https://ci.example.com"),
        ("HTTPS://CI.Example.com:443", "https://ci.example.com"),
        ("http://ci:80/jenkins/", "http://ci/jenkins"),
        ("http://10.0.0.7:8080", "http://10.0.0.7:8080"),
        ("https://[FD00::0007]:8443", "https://[fd00::7]:8443"),
    ],
)
def test_an_address_has_one_spelling(written, normal):
    assert rules.origin_problem(written) is None
    assert rules.normal_origin(written) == normal
    assert rules.normal_origin(normal) == normal


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "ci.example.com",
        "ftp://ci.example.com",
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://",
        "https://user@ci.example.com",
        "https://user:secret@ci.example.com",
        "https://ci.example.com@evil.example",
        "https://ci.example.com/?token=1",
        "https://ci.example.com?",
        "https://ci.example.com/#top",
        "https://ci.example.com:0",
        "https://ci.example.com:70000",
        "https://ci.example.com:eighty",
        "https://ci example.com",
        "https://ci.example.com\\@evil.example",
        "https://ci.example.com\nHost: evil.example",
        "https://a_b.internal",
        "https://ci.example.com.",
        "https://-ci.example.com",
        "https://ci..example.com",
        "https://cí.example.com",
        "https://ci%2eexample.com",
        "https://2130706433",
        "https://0x7f.1",
        "https://0177.0.0.1",
        "https://127.1",
        "https://[fe80::1%25eth0]",
        "https://[::1",
        "https://ci.example.com/../admin",
        "https://ci.example.com//double",
        "https://ci.example.com/a;b",
    ],
)
def test_an_address_that_two_programs_may_read_differently_is_refused(origin):
    assert rules.origin_problem(origin) is not None


@given(st.text(max_size=40))
def test_no_text_breaks_the_address_rule_and_what_passes_stays_the_same(text):
    for origin in (text, f"https://{text}"):
        if rules.origin_problem(origin) is None:
            assert rules.origin_problem(rules.normal_origin(origin)) is None
            assert rules.normal_origin(rules.normal_origin(origin)) == rules.normal_origin(origin)


@pytest.mark.parametrize(
    "secret", ["short", "with space inside", "line\nend-in-it", "ação-secreta", "password", "a" * 20]
)
def test_what_is_short_known_or_breaks_a_header_is_no_secret(secret):
    assert rules.secret_problem(secret) is not None


def test_only_a_long_secret_shows_its_end():
    assert rules.last4("0123456789abcdef") == "cdef"
    assert rules.last4("0123456789") == ""


def test_the_reach_counts_the_fewest_calls_and_leaves_the_targets_out():
    callers = {"db": ["reader", "writer"], "reader": ["front", "writer"], "writer": ["front"], "front": ["load"]}
    assert rules.hops_to({"db"}, callers) == {"reader": 1, "writer": 1, "front": 2, "load": 3}


def test_a_circle_ends_and_does_not_reach_itself():
    callers = {"a": ["b"], "b": ["c"], "c": ["a", "c"]}
    assert rules.hops_to({"a"}, callers) == {"b": 1, "c": 2}


@given(st.dictionaries(st.integers(0, 8), st.sets(st.integers(0, 8))), st.sets(st.integers(0, 8)))
def test_everything_reached_calls_something_one_hop_nearer(callers, targets):
    found = rules.hops_to(targets, callers)
    assert not found.keys() & targets
    for node, hops in found.items():
        nearer = {callee for callee, who in callers.items() if node in who}
        assert any((callee in targets and hops == 1) or found.get(callee) == hops - 1 for callee in nearer)
