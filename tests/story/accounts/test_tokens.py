"""Tokens of machines."""

from datetime import timedelta

import pytest

from releases.accounts import queries, services
from releases.accounts.models import ApiClient
from releases.accounts.rights import Right
from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.audit.actor import ActorKind
from releases.core import redaction
from releases.core.errors import Invalid, Missing, NotPermitted, Refused
from tests.factories.accounts import SETUP, a_person, a_team, a_token, an_actor

pytestmark = pytest.mark.django_db


def test_a_token_names_its_machine_and_may_do_what_its_scopes_say(now):
    client, token = a_token(Right.GATE_ASK)
    actor = queries.client_for(token, now)
    assert actor is not None
    assert (actor.kind, actor.id, actor.account) == (ActorKind.MACHINE, str(client.pk), client.prefix)
    assert actor.person_id is None
    assert queries.rights_of(actor) == {Right.GATE_ASK}


def test_the_token_itself_is_nowhere_but_in_the_answer(now):
    client, token = a_token()
    secret = token.rsplit("_", 1)[1] if token.count("_") == 2 else token[14:]
    row = ApiClient.objects.filter(pk=client.pk).values()[0]
    assert token.startswith(f"gmud_{client.prefix}_")
    assert secret not in str(row)
    assert len(row["secret_hash"]) == 64
    story = audit.story(client.stream)
    assert [entry.kind for entry in story] == ["token.issued"]
    assert secret not in str(story)
    assert row["secret_hash"] not in str(story)
    assert secret not in redaction.redact(f"someone logs {token}")


@pytest.mark.parametrize("scope", [Right.CHANGE_VOTE, Right.PEOPLE_EDIT, Right.POLICY_EDIT, Right.SYSTEM_ACT])
def test_no_token_is_issued_that_votes_or_edits_people(now, scope):
    with pytest.raises(Refused, match=scope.value):
        a_token(Right.GATE_ASK, scope)
    assert not ApiClient.objects.exists()


def test_a_vote_written_into_the_row_by_sql_still_gives_no_vote(now):
    client, token = a_token(Right.GATE_ASK)
    ApiClient.objects.filter(pk=client.pk).update(scopes=["gate.ask", "change.vote"])
    actor = queries.client_for(token, now)
    assert actor is not None
    assert queries.rights_of(actor) == {Right.GATE_ASK}
    with pytest.raises(NotPermitted):
        services.require(actor, Right.CHANGE_VOTE)


@pytest.mark.parametrize("scopes", [[], None, {}, "gate.ask"])
def test_a_row_without_scopes_may_do_nothing(now, scopes):
    client, token = a_token()
    ApiClient.objects.filter(pk=client.pk).update(scopes=scopes if scopes is not None else {"not": "a list"})
    actor = queries.client_for(token, now)
    assert actor is not None
    assert queries.rights_of(actor) == frozenset()


def test_a_token_ends_to_the_microsecond(now):
    client, token = a_token(now=now)
    assert queries.client_for(token, client.expires_at - timedelta(microseconds=1)) is not None
    assert queries.client_for(token, client.expires_at) is None


@pytest.mark.parametrize("life", [timedelta(0), timedelta(days=-1), timedelta(days=90, microseconds=1)])
def test_a_token_without_a_near_end_is_not_issued(now, life):
    with pytest.raises(Invalid) as caught:
        a_token(now=now, life=life)
    assert list(caught.value.fields) == ["expires_at"]


def test_a_token_without_name_or_scope_is_not_issued(now):
    with pytest.raises(Invalid) as caught:
        services.issue_token(actor=SETUP, name=" ", scopes=[], expires_at=now + timedelta(days=1), now=now)
    assert sorted(caught.value.fields) == ["name", "scopes"]


def test_a_revoked_token_is_nobody_at_once_also_where_it_was_read_before(now):
    client, token = a_token(Right.GATE_ASK)
    before = queries.client_for(token, now)
    assert before is not None
    for _ in range(2):
        services.revoke_token(actor=SETUP, client_id=client.pk, now=now)
    assert queries.client_for(token, now) is None
    assert queries.rights_of(before) == frozenset()
    assert [entry.kind for entry in audit.story(client.stream)] == ["token.issued", "token.revoked"]


def test_another_secret_behind_the_right_prefix_is_nobody(now):
    _client, token = a_token()
    other = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert queries.client_for(other, now) is None
    assert queries.client_for("", now) is None
    assert queries.client_for(token.upper(), now) is None
    assert queries.client_for(token + "\n", now) is None


def test_a_machine_ends_with_the_person_who_answers_for_it(now):
    client, token = a_token(Right.GATE_ASK)
    before = queries.client_for(token, now)
    assert before is not None
    assert queries.person_behind(before).pk == client.owner_id
    services.deactivate(actor=SETUP, person_id=client.owner_id, now=now)
    assert queries.client_for(token, now) is None
    assert queries.rights_of(before) == frozenset()
    with pytest.raises(NotPermitted):
        queries.person_behind(before)


def test_somebody_answers_for_every_machine(now):
    left = a_person("Gone")
    services.deactivate(actor=SETUP, person_id=left.pk, now=now)
    given = {"name": "ci", "scopes": [Right.GATE_ASK], "expires_at": now + timedelta(days=1), "now": now}
    for owner_id in (None, left.pk):
        with pytest.raises(Missing):
            services.issue_token(actor=SETUP, owner_id=owner_id, **given)
    owner = an_actor(Role.OWNER)
    client, _token = services.issue_token(actor=owner, **given)
    assert client.owner_id == owner.person_id


def test_no_person_stands_behind_the_system():
    with pytest.raises(NotPermitted):
        queries.person_behind(SETUP)


def test_the_use_of_a_token_is_noted_once_a_minute(now):
    client, token = a_token()
    for seconds, noted in ((0, 0), (59, 0), (60, 60), (61, 60)):
        assert services.use_token(token=token, now=now + timedelta(seconds=seconds)) is not None
        client.refresh_from_db()
        assert client.last_used_at == now + timedelta(seconds=noted)


def test_an_ended_token_leaves_no_trace_of_use(now):
    client, token = a_token()
    assert services.use_token(token=token, now=client.expires_at) is None
    client.refresh_from_db()
    assert client.last_used_at is None


def test_a_refused_machine_is_told_who_can_issue_another_token(now):
    a_person("Olga", Role.OWNER)
    _client, token = a_token(Right.GATE_ASK)
    actor = services.use_token(token=token, now=now)
    assert actor is not None
    with pytest.raises(NotPermitted, match=r"permit\.redeem.*Olga"):
        services.require(actor, Right.PERMIT_REDEEM)


def test_an_owner_issues_tokens_for_a_team(now):
    team = a_team("ledger")
    client, _token = services.issue_token(
        actor=an_actor(Role.OWNER),
        name="jenkins",
        scopes=[Right.GATE_ASK],
        expires_at=now + timedelta(days=90),
        team_id=team.pk,
        now=now,
    )
    assert client.team == team


def test_a_machine_keeps_its_name_and_rights_with_a_new_token_and_the_old_one_is_nobody(now):
    client, old = a_token(Right.GATE_ASK)
    services.use_token(token=old, now=now)

    same, new = services.rotate_token(actor=SETUP, client_id=client.pk, expires_at=now + timedelta(days=90), now=now)

    assert queries.client_for(old, now) is None
    actor = queries.client_for(new, now)
    assert actor is not None
    assert (actor.id, queries.rights_of(actor)) == (str(client.pk), {Right.GATE_ASK})
    assert same.last_used_at is None
    story = audit.story(client.stream)
    assert [entry.kind for entry in story] == ["token.issued", "token.rotated"]
    assert story[-1].data["before"] == client.prefix
    assert new.rsplit("_", 1)[1] not in str(story)
    assert new not in redaction.redact(f"someone logs {new}")


@pytest.mark.parametrize("life", [timedelta(0), timedelta(days=90, microseconds=1)])
def test_a_new_token_needs_a_near_end_too(now, life):
    client, old = a_token()
    with pytest.raises(Invalid) as caught:
        services.rotate_token(actor=SETUP, client_id=client.pk, expires_at=now + life, now=now)
    assert list(caught.value.fields) == ["expires_at"]
    assert queries.client_for(old, now) is not None


def test_an_ended_machine_gets_neither_token_nor_name(now):
    client, _token = a_token()
    services.revoke_token(actor=SETUP, client_id=client.pk, now=now)
    with pytest.raises(Refused):
        services.rotate_token(actor=SETUP, client_id=client.pk, expires_at=now + timedelta(days=1), now=now)
    with pytest.raises(Refused):
        services.describe_machine(actor=SETUP, client_id=client.pk, name="x", owner_id=client.owner_id, now=now)


def test_a_machine_whose_owner_left_gets_no_token_before_somebody_answers_for_it(now):
    client, _token = a_token()
    services.deactivate(actor=SETUP, person_id=client.owner_id, now=now)
    with pytest.raises(Refused, match="left"):
        services.rotate_token(actor=SETUP, client_id=client.pk, expires_at=now + timedelta(days=1), now=now)
    with pytest.raises(Missing):
        services.describe_machine(actor=SETUP, client_id=client.pk, name="ci", owner_id=client.owner_id, now=now)

    other, team = a_person("Rita"), a_team("ledger")
    for _ in range(2):
        services.describe_machine(
            actor=SETUP, client_id=client.pk, name="ci", owner_id=other.pk, team_id=team.pk, now=now
        )
    _client, token = services.rotate_token(
        actor=SETUP, client_id=client.pk, expires_at=now + timedelta(days=1), now=now
    )
    assert queries.client_for(token, now) is not None
    assert [entry.kind for entry in audit.story(client.stream)].count("machine.described") == 1
