"""Names, tokens and scopes."""

import re
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from releases.accounts import rules
from releases.accounts.rights import Right
from releases.accounts.roles import NEVER_FOR_MACHINES, ROLE_RIGHTS, Role, rights_of_roles, roles_with


@pytest.mark.parametrize("name", ["ledgerwriter", "accounts-db", "7zip", "a" * 63])
def test_a_plain_lower_case_name_is_a_slug(name):
    assert rules.is_slug(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "Ledger",
        "ledger writer",
        "-ledger",
        "ledger_writer",
        "ledger\n",
        "a" * 64,
        "ledgerwrıter",  # a dotless i
        "lеdger",  # a Cyrillic е
        "ｌedger",  # a full-width l
        "ledger\u0301",
    ],
)
def test_what_could_be_mistaken_for_another_name_is_no_slug(name):
    assert not rules.is_slug(name)


@given(st.text())
def test_a_slug_is_always_ascii_and_its_own_folding(text):
    if rules.is_slug(text):
        assert text.isascii()
        assert rules.folded(text) == text


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Ana\x00 Souza", "Ana Souza"),
        ("Ana\u202e Souza", "Ana Souza"),
        ("Ana\ud800Souza", "AnaSouza"),
        (" Ana \n\t Souza ", "Ana Souza"),
        ("Joa\u0303o", "João"),
        ("\u200b", ""),
    ],
)
def test_a_name_keeps_only_what_can_be_seen(text, line):
    assert rules.one_line(text) == line


def test_a_longer_text_keeps_its_lines():
    assert rules.visible(" first\nsecond\x00 ") == "first\nsecond"


def test_user_names_that_differ_in_case_or_width_are_the_same():
    assert rules.folded(" Ana.Souza ") == rules.folded("ana.souza") == rules.folded("ＡＮＡ.souza")


def test_a_token_carries_256_random_bits_behind_a_public_prefix():
    token = rules.new_token()
    kind, prefix, secret = token.plaintext.split("_", 2)
    assert (kind, prefix) == ("gmud", token.prefix)
    assert len(secret) == 43  # 32 bytes in base64 without padding
    assert rules.prefix_of(token.plaintext) == token.prefix
    assert rules.hash_of(token.plaintext) == token.hash


def test_a_token_does_not_show_itself_when_printed():
    token = rules.new_token()
    assert token.plaintext not in repr(token)
    assert token.hash not in f"{token}"


@pytest.mark.parametrize("text", ["", "gmud_", "gmud_abcdefgh", "gmud_abcdefgh_short", "ghp_abcdefgh_" + "x" * 43])
def test_what_does_not_look_like_our_token_has_no_prefix(text):
    assert rules.prefix_of(text) is None


@pytest.mark.parametrize("stored", [None, {}, "gate.ask", 7, [], ["gate.everything"], [None, 3]])
def test_missing_or_unknown_scopes_give_nothing(stored):
    assert rules.readable_scopes(stored) == frozenset()


def test_a_vote_written_into_the_scopes_behind_our_back_gives_nothing():
    assert rules.readable_scopes(["gate.ask", "change.vote", "people.edit"]) == {Right.GATE_ASK}


@pytest.mark.parametrize(
    ("days", "fair"),
    [(0, False), (-1, False), (1, True), (90, True), (91, False)],
)
def test_a_token_ends_in_the_future_and_within_ninety_days(now, days, fair):
    assert rules.expiry_is_fair(now, now + timedelta(days=days)) is fair


def test_ninety_days_and_a_moment_are_too_long(now: datetime):
    assert not rules.expiry_is_fair(now, now + rules.LONGEST_TOKEN_LIFE + timedelta(microseconds=1))


def test_a_password_made_here_can_be_read_aloud_and_is_long_enough():
    made = {rules.new_password() for _ in range(50)}
    assert len(made) == 50
    assert all(re.fullmatch(r"([a-km-np-z2-9]{5}-){4}[a-km-np-z2-9]{5}", one) for one in made)


def test_every_role_has_its_rights_and_every_right_but_those_of_machines_has_a_role():
    assert set(ROLE_RIGHTS) == set(Role)
    only_machines = {Right.SYSTEM_ACT, Right.GATE_ASK, Right.METRICS_READ, Right.PERMIT_REDEEM}
    assert {right for right in Right if not roles_with(right)} == only_machines


def test_only_seats_vote():
    assert {role for role in Role if Right.CHANGE_VOTE in ROLE_RIGHTS[role]} == {role for role in Role if role.is_seat}


def test_who_edits_people_does_not_vote_and_no_machine_does_either():
    assert Right.CHANGE_VOTE not in rights_of_roles(frozenset({Role.OWNER}))
    assert {Right.CHANGE_VOTE, Right.PEOPLE_EDIT} <= NEVER_FOR_MACHINES


def test_no_role_gives_no_right():
    assert rights_of_roles(frozenset()) == frozenset()


def test_rights_and_roles_stand_in_alphabetical_and_reading_order():
    assert [right.value for right in Right] == sorted(right.value for right in Right)
