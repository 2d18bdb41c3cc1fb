"""Manifests taken over: once something, twice nothing, broken not at all."""

import io
import shutil
from pathlib import Path

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.db import models

from releases.accounts.models import Team
from releases.accounts.roles import Role
from releases.audit.models import AuditEvent
from releases.catalog import queries, services
from releases.catalog.imports import kubernetes
from releases.catalog.models import Artifact, Dependency, Environment, Running, Service
from releases.core.errors import NotPermitted
from tests.factories.accounts import SETUP, an_actor

pytestmark = pytest.mark.django_db
BANK = Path(__file__).parents[3] / "gmud" / "demo" / "data" / "bank-of-anthos"


def take_over(*arguments: str) -> str:
    out = io.StringIO()
    call_command("catalog", "import-kubernetes", *arguments, stdout=out)
    return out.getvalue()


def rows() -> dict[str, list[tuple[object, ...]]]:
    """Return every row of every table of the house."""
    tables: list[type[models.Model]] = list(apps.get_app_config("releases").get_models(include_auto_created=True))
    return {table.__name__: sorted(map(tuple, table._default_manager.values_list()), key=repr) for table in tables}


def test_the_bank_is_taken_over_with_owners_tiers_edges_and_artifacts():
    out = take_over(str(BANK))
    assert {team.name for team in Team.objects.all()} == {"accounts", "frontend", "ledger", "loadgenerator"}
    assert [environment.name for environment in Environment.objects.all()] == ["development"]
    cards = {card.name: card for card in queries.services()}
    assert len(cards) == 9
    assert (cards["ledgerwriter"].team, cards["ledgerwriter"].tier) == ("ledger", "backend")
    assert Artifact.objects.count() == 9
    assert "dependencies: 6" in out
    assert "hints (unconfirmed): 9" in out


def test_the_reach_of_the_ledger_follows_the_hints_and_says_which_they_are():
    take_over(str(BANK))
    ledger = queries.service_named("ledger-db")
    reach = queries.dependents([ledger.id])
    assert {one.name for one in reach.direct if one.is_fact} == {"balancereader", "ledgerwriter", "transactionhistory"}
    assert {(one.name, one.is_fact) for one in reach.indirect} == {("frontend", False), ("loadgenerator", False)}


def test_what_runs_is_not_concluded_from_manifests():
    take_over(str(BANK))
    assert not Running.objects.exists()


def test_a_second_time_changes_nothing_not_even_an_event():
    take_over(str(BANK))
    before = rows()
    assert take_over(str(BANK)).strip() == "Nothing is new."
    assert rows() == before


def test_each_new_row_has_its_event():
    take_over(str(BANK))
    counted = {
        "service.registered": Service.objects.count(),
        "dependency.linked": Dependency.objects.count(),
        "artifact.registered": Artifact.objects.count(),
        "team.registered": Team.objects.count(),
        "environment.registered": Environment.objects.count(),
    }
    assert counted == {kind: AuditEvent.objects.filter(kind=kind).count() for kind in counted}


def test_a_dry_run_says_the_same_and_writes_nothing():
    before = rows()
    out = take_over(str(BANK), "--dry-run")
    assert rows() == before
    assert "services: 9" in out
    assert "nothing was written" in out


def test_a_broken_file_is_named_and_nothing_is_half_imported(tmp_path):
    shutil.copytree(BANK, tmp_path / "bank")
    broken = tmp_path / "bank" / "kubernetes-manifests" / "userservice.yaml"  # the last one that is read
    good = broken.read_text()
    broken.write_text(good.replace('value: "3600"', "value: 3600"))
    assert broken.read_text() != good
    before = rows()
    with pytest.raises(CommandError) as caught:
        take_over(str(tmp_path / "bank"))
    assert "kubernetes-manifests/userservice.yaml, document 2, spec.template.spec.containers[0].env[3].value" in str(
        caught.value
    )
    assert rows() == before


def test_a_clash_while_writing_leaves_nothing_half_imported(monkeypatch):
    before = rows()

    def fails(**_given: object) -> None:
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(services, "register_artifact", fails)
    with pytest.raises(RuntimeError):
        take_over(str(BANK))
    assert rows() == before


def test_what_people_wrote_stays_and_the_difference_is_told(now):
    take_over(str(BANK))
    team = Team.objects.get(name="accounts")
    front = queries.service_named("frontend")
    services.describe_service(actor=SETUP, service_id=front.id, team_id=team.pk, tier="edge", now=now)
    out = take_over(str(BANK))
    assert queries.service_named("frontend").team == "accounts"
    assert "frontend: the team is accounts here and frontend in the manifests" in out
    assert "frontend: the tier is edge here and web in the manifests" in out


def test_a_denied_hint_does_not_come_back(now):
    take_over(str(BANK))
    hint = Dependency.objects.get(caller__name="ledgerwriter", callee__name="contacts")
    services.deny_dependency(actor=an_actor(Role.RELEASE_MANAGER), dependency_id=hint.pk, now=now)
    assert take_over(str(BANK)).strip() == "Nothing is new."
    contacts = queries.service_named("contacts")
    assert [one.name for one in queries.dependents([contacts.id]).direct] == ["frontend"]


def test_an_edge_that_the_manifests_no_longer_say_is_told_and_kept(tmp_path):
    take_over(str(BANK))
    shutil.copytree(BANK, tmp_path / "bank")
    place = tmp_path / "bank" / "kubernetes-manifests" / "loadgenerator.yaml"
    place.write_text(place.read_text().replace("frontend:80", "elsewhere.example.com:80"))
    out = take_over(str(tmp_path / "bank"))
    assert "loadgenerator → frontend (environment) is no longer in the manifests" in out
    assert Dependency.objects.filter(caller__name="loadgenerator").count() == 1


def test_no_password_of_the_manifests_reaches_a_table():
    take_over(str(BANK))
    everything = repr(rows())
    assert "accounts-pwd" not in everything
    assert "accounts-admin" not in everything


def test_an_environment_with_an_unknown_name_counts_as_development_and_says_so(tmp_path):
    (tmp_path / "s.yaml").write_text(
        "kind: Service\nmetadata: {name: shop, labels: {team: shop, environment: homolog-2}}\n"
    )
    assert "homolog-2 is for" in take_over(str(tmp_path))


def test_only_those_who_edit_the_catalogue_take_manifests_over(now):
    found = kubernetes.read(BANK)
    with pytest.raises(NotPermitted):
        kubernetes.take_over(found=found, actor=an_actor(Role.ENGINEER), now=now)
    assert not Service.objects.exists()


def test_the_keys_are_rotated_from_the_command_line(tmp_path, settings):
    settings.GMUD_KEYS = str(tmp_path)
    out = io.StringIO()
    call_command("catalog", "rotate-keys", stdout=out)
    assert "0 secrets were sealed again" in out.getvalue()
