"""The admin shows every table and writes none; it stands behind our own door."""

import re

import pytest
from django.apps import apps
from django.urls import reverse

from releases.accounts.models import Team
from releases.accounts.roles import Role
from releases.changes.states import State
from releases.web.admin import LEFT_OUT, tables
from tests.factories.accounts import a_person
from tests.factories.changes import a_change
from tests.factories.gate import a_wired_house

pytestmark = pytest.mark.django_db
PUBLIC = {
    "AuditEvent.leaf_hash", "Channel.secret_last4", "Channel.secret_version", "Connection.secret_last4",
    "Connection.secret_version", "Deployment.op_key", "Leaf.leaf_hash", "Permit.kid", "Permit.public_key",
    "Shift.op_key", "Step.op_key",
}  # fmt: skip
SOUNDS_SECRET = re.compile("secret|password|token|hash|box|salt|^kid$|public_key|_key$")


@pytest.fixture
def owner(browse):
    return browse(a_person("Olga Dias", Role.OWNER))


def row_of(model):
    row = model._default_manager.first()
    return reverse(f"admin:releases_{model._meta.model_name}_change", args=[row.pk]) if row else ""


def test_every_table_and_a_row_of_each_is_shown_to_whoever_may_give_rights(owner, now):
    a_change(a_wired_house(now), at=State.SCHEDULED)

    assert owner.get("/tables/").status_code == 200
    shown = 0
    for model in tables._registry:
        assert owner.get(reverse(f"admin:releases_{model._meta.model_name}_changelist")).status_code == 200
        if address := row_of(model):
            shown += 1
            assert owner.get(address).status_code == 200
    assert shown > 20


def test_nothing_is_written(owner):
    team = Team.objects.create(name="ledger", title="Ledger")
    one = f"/tables/releases/team/{team.pk}"

    assert owner.post(f"{one}/change/", {"name": "mine", "title": "Mine"}).status_code == 403
    assert owner.post(f"{one}/delete/", {"post": "yes"}).status_code == 403
    assert owner.post("/tables/releases/team/add/", {"name": "new", "title": "New"}).status_code == 403
    owner.post("/tables/releases/team/", {"action": "delete_selected", "_selected_action": team.pk})
    assert list(Team.objects.values_list("name", "title")) == [("ledger", "Ledger")]


@pytest.mark.parametrize("past", ["login", "logout", "password_change"])
def test_no_way_leads_past_our_own_sign_in(owner, past):
    assert f"/tables/{past}/" not in owner.get("/tables/").content.decode()
    assert owner.post(f"/tables/{past}/", {"username": "olga", "password": "guess"}).status_code == 404


@pytest.mark.parametrize("address", ["/tables/", "/tables/releases/", "/tables/releases/user/", "/tables/jsi18n/"])
def test_who_may_not_give_rights_sees_nothing(client, browse, address):
    assert client.get(address).headers["Location"].startswith("/sign-in")

    assert browse(a_person("Ana Reis", Role.RELEASE_MANAGER)).get(address).status_code == 403


def test_no_secret_is_a_column():
    """A new column that sounds like one is either left out or said to be public."""
    doubtful = set()
    for model, table in tables._registry.items():
        left_out = LEFT_OUT.get(model.__name__, frozenset())
        names = {field.name for field in model._meta.get_fields() if field.concrete}
        shown = {*table.get_fields(None), *table.get_list_display(None), *table.get_search_fields(None)}
        doubtful |= {f"{model.__name__}.{name}" for name in shown if SOUNDS_SECRET.search(name)}
        assert left_out <= names
        assert shown <= names - left_out

    assert doubtful == PUBLIC


def test_only_tables_with_keys_of_several_columns_are_missing():
    missing = set(apps.get_app_config("releases").get_models()) - set(tables._registry)

    assert {model.__name__ for model in missing} == {"AuditText", "Checkpoint"}
