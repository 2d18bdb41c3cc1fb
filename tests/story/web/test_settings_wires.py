"""Pages of the settings: services, environments, dependencies, customers, connections, bindings, routes."""

import base64
import re
from html import unescape
from pathlib import Path

import pytest
import yaml
from django.db import connection as database
from django.test.utils import CaptureQueriesContext

from releases.accounts.roles import Role
from releases.audit import queries as audit
from releases.catalog import services
from releases.catalog.doors import door_for
from releases.catalog.kinds import ConnectionKind, DependencySource, EnvironmentKind, Light, Purpose
from releases.catalog.models import Binding, Connection, Customer, Dependency, Environment, Route, Service
from releases.committee import services as committee
from releases.core.errors import Sentence
from tests.factories.accounts import SETUP, a_person, a_team
from tests.factories.addresses import ALLOWED
from tests.factories.catalog import TOKEN, a_connection, a_service, an_environment
from tests.factories.certificates import a_certificate

SLUGS = ("services", "environments", "dependencies", "customers", "connections", "bindings", "routes")
WAS = re.compile(r'name="(was-[^"]+)" value="([^"]*)"')


@pytest.fixture(autouse=True)
def _ring(tmp_path, settings):
    settings.GMUD_KEYS = str(tmp_path)


@pytest.fixture
def owner(house):
    return a_person("Olga Dias", Role.OWNER, username="olga")


@pytest.fixture
def at_work(owner, browse):
    """Return the browser of an owner."""
    return browse(owner)


def opened(browser, path):
    """Return what a form carries unseen: the values it was opened with."""
    return {name: unescape(value) for name, value in WAS.findall(browser.get(path).content.decode())}


def in_words(answer):
    return " ".join(answer.content.decode().split())


def a_wired_service(house, name, number=1):
    """Register a service that calls another, is bound three times and has its traffic split, for a customer."""
    row = a_service(name)
    services.link(
        actor=SETUP,
        caller_id=row.pk,
        callee_id=house.service.pk,
        source=DependencySource.SHARED_CONFIG,
        detail="LEDGER_ADDR",
        now=house.now,
    )
    jenkins = a_connection(f"jenkins-{number}")
    cluster = a_connection(f"cluster-{number}", ConnectionKind.KUBERNETES)
    metrics = a_connection(f"metrics-{number}", ConnectionKind.PROMETHEUS, account="", secret=None)
    place = {"actor": SETUP, "service_id": row.pk, "environment_id": house.environment.pk, "now": house.now}
    services.bind(
        **place,
        purpose=Purpose.DEPLOY,
        connection_id=jenkins.pk,
        settings={"job": "bank/deploy", "parameters": {"REGION": "sa-east-1"}},
    )
    services.bind(
        **place, purpose=Purpose.HEALTH, connection_id=metrics.pk, settings={"query": "errors", "limit": 0.05}
    )
    services.register_route(
        **place,
        connection_id=cluster.pk,
        locator={"namespace": "bank", "name": name, "route": "primary"},
        stable="stable",
        canary="canary",
    )
    services.register_customer(
        actor=SETUP, name=f"Customer of {name}", segment="retail", service_ids=[row.pk], now=house.now
    )
    return row


@pytest.fixture
def wired(house):
    return a_wired_service(house, "frontend")


def one_of(slug):
    tables = (Service, Environment, Dependency, Customer, Connection, Binding, Route)
    return dict(zip(SLUGS, tables, strict=True))[slug].objects.order_by("pk").last()


# --- every section ---


@pytest.mark.parametrize("language", ["en", "pt-br"])
@pytest.mark.parametrize("slug", SLUGS)
def test_every_list_thing_and_form_is_shown_in_both_languages(at_work, wired, slug, language):
    row = one_of(slug)
    verbs = ("unlink", "deny") if slug == "dependencies" else ("edit", "remove")
    for path in ("", "/add", "?q=front", f"/{row.pk}", *(f"/{row.pk}/{verb}" for verb in verbs)):
        answer = at_work.get(f"/settings/{slug}{path}", headers={"Accept-Language": language})
        assert answer.status_code == 200, path


@pytest.mark.parametrize("slug", SLUGS)
def test_who_may_not_edit_the_catalogue_is_told_whom_to_ask(house, owner, wired, browse, slug):
    browser, row = browse(house.on_call), one_of(slug)
    assert "Olga Dias can help." in in_words(browser.get(f"/settings/{slug}"))
    assert "Olga Dias can help." in in_words(browser.get(f"/settings/{slug}/{row.pk}"))
    verb = "unlink" if slug == "dependencies" else "remove"
    assert browser.post(f"/settings/{slug}/{row.pk}/{verb}").status_code == 403
    assert browser.get(f"/settings/{slug}/add").status_code == 403
    assert one_of(slug) == row


@pytest.mark.parametrize("slug", SLUGS)
def test_the_queries_of_a_list_do_not_grow_with_its_rows(house, at_work, wired, slug):
    def queries():
        at_work.get(f"/settings/{slug}")
        with CaptureQueriesContext(database) as seen:
            assert at_work.get(f"/settings/{slug}").status_code == 200
        return len(seen)

    few = queries()
    for number in range(2, 6):
        a_wired_service(house, f"service-no-{number}", number)
        an_environment(f"environment-{number}")
    assert queries() == few


@pytest.mark.parametrize(
    ("slug", "said"),
    [
        ("services", "2 bindings, 1 customer, 1 dependency and 1 route"),
        ("environments", "2 bindings, 1 route and 1 record of what ran"),
        ("connections", "1 binding"),
    ],
)
def test_what_is_in_use_is_not_removed_and_the_page_says_what_uses_it(house, at_work, wired, slug, said):
    jenkins = Connection.objects.get(name="jenkins-1")
    row = {"services": wired, "environments": house.environment, "connections": jenkins}[slug]
    answer = at_work.post(f"/settings/{slug}/{row.pk}/remove")
    assert answer.status_code == 409
    assert said in in_words(answer)
    assert type(row).objects.filter(pk=row.pk).exists()


# --- services and environments ---


def test_a_service_is_added_described_retired_and_told(at_work, house):
    team = a_team("payments")
    given = {"name": "loans", "title": "Loans", "team_id": str(team.pk), "criticality": "4", "data_classes": ["money"]}
    path = at_work.post("/settings/services/add", given).headers["Location"]
    changed = {**given, **opened(at_work, f"{path}/edit"), "title": "All loans", "tier": "core"}
    at_work.post(f"{path}/edit", changed)
    at_work.post(f"{path}/retire")
    page = in_words(at_work.get(path))
    row = Service.objects.get(name="loans")

    assert (row.title, row.tier, row.criticality, row.data_classes) == ("All loans", "core", 4, ["money"])
    assert "Olga Dias retired the service loans." in page
    assert f'href="{path}/retire"' not in page
    at_work.post(f"{path}/reinstate")
    assert "Olga Dias took the service loans into use again." in in_words(at_work.get(path))
    assert at_work.post(f"{path}/remove").headers["Location"] == "/settings/services"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"name": "The Loans"}, "name"),
        ({"name": "ledgerwriter"}, "name"),
        ({"name": "loans\u200b"}, "name"),
        ({"criticality": "5"}, "criticality"),
        ({"team_id": ""}, "team_id"),
        ({"data_classes": ["gossip"]}, "data_classes"),
    ],
)
def test_a_service_that_cannot_be_is_refused_at_its_field(at_work, house, given, field):
    asked = {"name": "loans", "team_id": str(house.service.team_id), "criticality": "2", **given}
    answer = at_work.post("/settings/services/add", asked)
    assert answer.status_code == 422
    assert f'id="{field}-error"' in in_words(answer)
    assert Service.objects.count() == 1


def test_the_kind_of_an_environment_in_use_stays_and_its_field_says_why(at_work, house):
    path = f"/settings/environments/{house.environment.pk}/edit"
    answer = at_work.post(path, {**opened(at_work, path), "name": "production", "kind": "staging", "rank": "30"})
    assert answer.status_code == 422
    assert "The kind decides who must approve" in in_words(answer)
    at_work.post(path, {**opened(at_work, path), "name": "prod-eu", "kind": "production", "rank": "40"})
    house.environment.refresh_from_db()
    assert (house.environment.name, house.environment.rank) == ("prod-eu", 40)


def test_the_name_of_an_environment_that_the_policy_goes_by_stays_and_its_field_says_why(at_work, house):
    row = an_environment("staging", EnvironmentKind.STAGING)
    rules = [{"when": {}, "seats": {"seat_security": 1}}]
    after = {
        "when": {"environment_kind": ["production"]},
        "seats": {"seat_security": 1},
        "after_environment": "staging",
    }
    committee.save_policy(actor=house.actor("manager"), name="Stricter", rules=[*rules, after], now=house.now)
    path = f"/settings/environments/{row.pk}"

    asked = {**opened(at_work, f"{path}/edit"), "name": "staging-old", "kind": "staging", "rank": str(row.rank)}
    answer = at_work.post(f"{path}/edit", asked)

    assert 'id="name-error"' in in_words(answer)
    assert "staging stands in version 2 of the policy" in in_words(answer)
    assert "staging stands in version 2 of the policy" in in_words(at_work.post(f"{path}/remove"))
    row.refresh_from_db()
    assert row.name == "staging"


# --- dependencies and customers ---


def test_an_owner_of_one_end_confirms_a_hint_and_denies_it(house, wired, browse):
    edge = Dependency.objects.get()
    house.service.team.members.add(house.engineer)
    browser, path = browse(house.engineer), f"/settings/dependencies/{edge.pk}"
    page = in_words(browser.get(path))
    assert "frontend perhaps calls ledgerwriter" in page
    assert "hint from a shared address book" in page

    browser.post(f"{path}/confirm")
    assert "Ana Reis confirmed that frontend calls ledgerwriter." in in_words(browser.get(path))
    browser.post(f"{path}/deny")
    edge.refresh_from_db()
    assert (edge.confirmed_by, edge.denied_by) == (None, house.engineer)
    assert "does not call" in in_words(browser.get(path))


def test_somebody_of_another_team_judges_nothing(house, owner, wired, browse):
    browser, path = browse(house.engineer), f"/settings/dependencies/{Dependency.objects.get().pk}"
    assert f'href="{path}/deny"' not in in_words(browser.get(path))
    assert browser.post(f"{path}/confirm").status_code == 403


def test_a_dependency_on_itself_is_refused_at_its_field(at_work, house):
    asked = {"caller": str(house.service.pk), "callee": str(house.service.pk)}
    answer = at_work.post("/settings/dependencies/add", asked)
    assert answer.status_code == 422
    assert 'id="callee-error"' in in_words(answer)


def test_a_customer_is_added_described_and_removed(at_work, house):
    given = {"name": "Acme", "segment": "retail", "size": "3", "notice_hours": "48"}
    path = at_work.post("/settings/customers/add", {**given, "services": [str(house.service.pk)]}).headers["Location"]
    assert "48 hours before" in in_words(at_work.get(path))
    at_work.post(f"{path}/edit", {**opened(at_work, f"{path}/edit"), **given, "name": "Acme Ltda", "services": []})
    row = Customer.objects.get()
    assert (row.name, row.services.count()) == ("Acme Ltda", 0)
    assert at_work.post("/settings/customers/add", {**given, "name": "ACME ltda"}).status_code == 422
    at_work.post(f"{path}/remove")
    assert not Customer.objects.exists()


# --- connections ---


ASKED = {"name": "ci", "kind": "jenkins", "origin": "https://ci.example.com", "account": "gmud", "secret": TOKEN}


def test_a_secret_goes_in_and_only_its_last_four_come_out(at_work):
    path = at_work.post("/settings/connections/add", {**ASKED, "config": "key_parameter: ORDER"}).headers["Location"]
    row = Connection.objects.get()
    pages = [in_words(at_work.get(one)) for one in (path, f"{path}/edit", "/settings/connections")]
    assert row.config == {"key_parameter": "ORDER"}
    assert "ends in WXYZ" in pages[0]
    assert not any(TOKEN in page or TOKEN[:-4] in page for page in pages)
    at_work.post(f"{path}/edit", {**opened(at_work, f"{path}/edit"), **ASKED, "name": "jenkins", "secret": ""})
    row.refresh_from_db()
    assert (row.name, row.secret_version) == ("jenkins", 1)


def test_the_page_of_a_cluster_prints_the_role_for_the_namespaces_that_are_bound(at_work, house):
    row = a_connection("k8s", ConnectionKind.KUBERNETES, origin="https://k8s.example", account="", secret=TOKEN)
    path = f"/settings/connections/{row.pk}"
    assert "The rights it needs" not in in_words(at_work.get(path))
    services.register_route(
        actor=SETUP,
        service_id=house.service.pk,
        environment_id=house.environment.pk,
        connection_id=row.pk,
        locator={"namespace": "bank-production", "name": "ledgerwriter"},
        stable="stable",
        canary="canary",
        now=house.now,
    )
    page = in_words(at_work.get(path))
    assert "The rights it needs" in page
    assert "metadata: {name: gmud-traffic, namespace: bank-production}" in page
    assert "resources: [virtualservices]" in page
    assert "httproutes" not in page


def test_a_kubeconfig_fills_in_the_connection_and_is_not_kept(at_work, tmp_path):
    pem = Path(a_certificate(tmp_path)).read_text()
    certificate, key = pem.split("-----BEGIN PRIVATE KEY-----")
    boxed = {
        "client-certificate-data": base64.b64encode(certificate.encode()).decode(),
        "client-key-data": base64.b64encode(f"-----BEGIN PRIVATE KEY-----{key}".encode()).decode(),
    }
    cluster = {"server": "https://k8s.example:6443", "certificate-authority-data": boxed["client-certificate-data"]}
    config = {
        "contexts": [{"name": name, "context": {"cluster": "c", "user": "u"}} for name in ("prod", "staging")],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [{"name": "u", "user": {"token": TOKEN, **boxed}}],
    }
    asked = {"name": "mesh", "kind": "kubernetes", "kubeconfig": yaml.safe_dump(config)}
    refused = at_work.post("/settings/connections/add", asked)
    assert (refused.status_code, "Name one of: prod, staging." in in_words(refused)) == (422, True)
    assert not any(TOKEN in in_words(refused) or line in in_words(refused) for line in key.splitlines()[1:-1])

    path = at_work.post("/settings/connections/add", {**asked, "context": "staging"}).headers["Location"]
    row = Connection.objects.get()
    assert (row.origin, row.config["context"]) == ("https://k8s.example:6443", "staging")
    door = door_for(row)
    assert dict(door.headers) == {"Authorization": f"Bearer {TOKEN}"}
    assert (door.client_certificate.split(), door.ca_bundle.split()) == (pem.split(), certificate.split())

    for page in (path, f"{path}/edit"):
        shown = in_words(at_work.get(page))
        assert not any(line in shown for line in (TOKEN, *key.splitlines()[1:-1]))
    typed = {**opened(at_work, f"{path}/edit"), "name": "mesh", "origin": row.origin, "config": "context: staging"}
    at_work.post(f"{path}/edit", {**typed, "authority": ""})
    row.refresh_from_db()
    assert (row.config, row.secret_version) == ({"context": "staging"}, 1)


def test_a_kubeconfig_that_runs_a_program_is_refused_at_its_field_with_the_way_out(at_work):
    config = {
        "contexts": [{"name": "eks", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": "https://k8s.example:6443"}}],
        "users": [{"name": "u", "user": {"exec": {"command": "aws"}}}],
    }
    asked = {"name": "mesh", "kind": "kubernetes", "kubeconfig": yaml.safe_dump(config)}
    answer = in_words(at_work.post("/settings/connections/add", asked))
    assert 'id="kubeconfig-error"' in answer
    assert "running a program (aws)" in answer
    assert "kubectl create token gmud" in answer
    assert not Connection.objects.exists()


def test_another_address_asks_for_the_secret_anew_at_its_field(at_work):
    path = at_work.post("/settings/connections/add", ASKED).headers["Location"]
    moved = {**ASKED, "origin": "https://evil.example.com", "secret": ""}
    answer = at_work.post(f"{path}/edit", {**opened(at_work, f"{path}/edit"), **moved})
    assert answer.status_code == 422
    assert 'id="secret-error"' in in_words(answer)
    assert "belongs to the old address" in in_words(answer)
    row = Connection.objects.get()
    assert row.origin == "https://ci.example.com"
    assert dict(door_for(row).headers)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"origin": f"https://gmud:{TOKEN}@ci.example.com"}, "origin"),
        ({"config": f"token: {TOKEN}"}, "config"),
        ({"config": f"note: {TOKEN}"}, "config"),
        ({"account": TOKEN}, "account"),
        ({"secret": "changeme"}, "secret"),
        ({"origin": "https://169.254.169.254"}, "origin"),
        ({"origin": "https://localhost:8443"}, "origin"),
        ({"name": "taken"}, "name"),
        ({"config": "no colon"}, "config"),
        ({"kind": "mainframe"}, "kind"),
    ],
)
def test_a_connection_that_cannot_be_is_refused_at_its_field(at_work, monkeypatch, given, field):
    monkeypatch.setenv("GMUD_OUTBOUND_NETWORKS", ALLOWED)
    a_connection("taken")
    answer = at_work.post("/settings/connections/add", {**ASKED, **given})
    assert answer.status_code == 422
    assert f'id="{field}-error"' in in_words(answer)
    assert Connection.objects.count() == 1


def test_the_last_test_stands_on_the_page_and_in_the_history_in_the_readers_language(at_work, now):
    row = a_connection("ci")
    line = Sentence("Jenkins has no job %(job)s, or the account may not read it.", {"job": "bank/x"})
    services.note_check(actor=SETUP, connection_id=row.pk, light=Light.WAIT, version="2.555.3", lines=[line], now=now)
    path = f"/settings/connections/{row.pk}"
    page = in_words(at_work.get(path))
    assert "Needs mending" in page
    assert page.count("Jenkins has no job bank/x") == 2
    assert "2.555.3" in page
    assert "Jenkins has no job" not in in_words(at_work.get(path, headers={"Accept-Language": "pt-br"}))


def test_a_secret_that_is_not_needed_is_forgotten(at_work):
    row = a_connection("metrics", ConnectionKind.PROMETHEUS, account="")
    at_work.post(f"/settings/connections/{row.pk}/forget")
    row.refresh_from_db()
    assert row.secret_box is None
    assert f'href="/settings/connections/{row.pk}/forget"' not in in_words(
        at_work.get(f"/settings/connections/{row.pk}")
    )


# --- bindings and routes ---


def health_of(house):
    """Return what a form says of the health of a service that Prometheus measures, without its queries."""
    metrics = a_connection("metrics", ConnectionKind.PROMETHEUS, account="", secret=None)
    place = {"service": str(house.service.pk), "environment": str(house.environment.pk)}
    return {**place, "purpose": "health", "connection": str(metrics.pk)}


def test_a_health_binding_keeps_the_query_that_counts_the_split_as_long_as_there_is_one_to_judge_by(at_work, house):
    asked = {
        **health_of(house),
        "query": "x",
        "limit": "0.8",
        "split": "x / y",
    }
    path = at_work.post("/settings/bindings/add", asked).headers["Location"]
    assert Binding.objects.get().settings["split"] == "x / y"
    assert "x / y" in in_words(at_work.get(path))

    edited = {**asked, **opened(at_work, f"{path}/edit"), "query": "", "url": "/ready"}
    at_work.post(f"{path}/edit", edited)
    assert Binding.objects.get().settings == {"url": "/ready"}


def test_a_health_binding_offers_its_figure(at_work, house):
    asked = {
        **health_of(house),
        "query": "histogram_quantile(0.9, x)",
        "limit": "0.8",
        "figure": "seconds",
    }
    path = at_work.post("/settings/bindings/add", asked).headers["Location"]
    row = Binding.objects.get()
    assert row.settings == {"query": "histogram_quantile(0.9, x)", "limit": 0.8, "figure": "seconds"}
    assert at_work.post("/settings/bindings/add", asked).status_code == 422

    form = in_words(at_work.get(f"{path}/edit"))
    assert 'value="seconds" selected' in form
    assert 'name="job"' not in form
    edited = {**asked, **opened(at_work, f"{path}/edit"), "limit": "1.5"}
    at_work.post(f"{path}/edit", edited)
    row.refresh_from_db()
    assert row.settings["limit"] == 1.5
    assert "bound ledgerwriter in production to metrics for health" in in_words(at_work.get(path))
    at_work.post(f"{path}/remove")
    assert not Binding.objects.exists()
    assert audit.story(house.service.stream)[-1].kind == "binding.removed"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"job": ""}, "Deploying needs the name of a job"),
        ({"parameters": "API_TOKEN: abc"}, "looks like a secret"),
        ({"purpose": "health"}, "Health needs an address"),
        ({"purpose": "traffic"}, "for traffic take one to APISIX, Kong or Kubernetes"),
        ({"parameters": "REGION"}, "Write one name: value in each line"),
    ],
)
def test_a_binding_that_says_too_little_or_too_much_is_refused_in_words(at_work, house, given, said):
    asked = {
        "service": str(house.service.pk),
        "environment": str(house.environment.pk),
        "purpose": "deploy",
        "connection": str(a_connection("ci").pk),
        "job": "bank/deploy",
        **given,
    }
    answer = at_work.post("/settings/bindings/add", asked)
    assert answer.status_code == 422
    assert said in in_words(answer)
    assert not Binding.objects.exists()


def test_a_pipeline_is_bound_with_options_and_without_them_again(at_work, house):
    connection = a_connection("spin", ConnectionKind.SPINNAKER, account="", secret="spk_0123456789abcdef")
    asked = {
        "service": str(house.service.pk),
        "environment": str(house.environment.pk),
        "purpose": "deploy",
        "connection": str(connection.pk),
        "job": "ledger/Deploy ledgerwriter",
        "options": "via: v2\nartifacts: []",
    }
    assert at_work.post("/settings/bindings/add", asked).status_code == 302
    row = Binding.objects.get()
    path = f"/settings/bindings/{row.pk}"
    assert row.settings["options"] == {"via": "v2", "artifacts": []}
    assert "artifacts: [], via: v2" in in_words(at_work.get(path))

    edited = {**opened(at_work, f"{path}/edit"), **asked, "options": ""}
    assert at_work.post(f"{path}/edit", edited).status_code == 302

    row.refresh_from_db()
    assert row.settings == {"job": "ledger/Deploy ledgerwriter", "parameters": {}}


def test_what_a_form_does_not_ask_for_stays_when_a_binding_or_route_is_edited(at_work, wired):
    binding, route = Binding.objects.get(purpose="deploy"), Route.objects.get()
    Binding.objects.filter(pk=binding.pk).update(settings={**binding.settings, "patience": 7})
    Route.objects.filter(pk=route.pk).update(locator={**route.locator, "index": "2"})
    for slug, row, given in (
        ("bindings", binding, {"job": "bank/other", "parameters": "REGION: eu"}),
        ("routes", route, {"namespace": "bank", "name": "other", "stable": "blue", "canary": "green"}),
    ):
        path = f"/settings/{slug}/{row.pk}/edit"
        asked = {"connection": str(row.connection_id), **opened(at_work, path), **given}
        assert at_work.post(path, asked).status_code == 302
        row.refresh_from_db()
    assert binding.settings == {"job": "bank/other", "parameters": {"REGION": "eu"}, "patience": 7}
    assert route.locator == {"namespace": "bank", "name": "other", "index": "2"}
    assert (route.stable, route.canary) == ("blue", "green")


def test_a_route_is_added_once_and_removed(at_work, house):
    asked = {
        "service": str(house.service.pk),
        "environment": str(house.environment.pk),
        "connection": str(a_connection("cluster", ConnectionKind.KUBERNETES).pk),
        "namespace": "bank",
        "name": "ledger",
        "stable": "stable",
        "canary": "canary",
        "system": "gateway",
        "kind": "GRPCRoute",
    }
    assert at_work.post("/settings/routes/add", {**asked, "canary": "stable"}).status_code == 422
    assert at_work.post("/settings/routes/add", {**asked, "system": "kong"}).status_code == 422
    path = at_work.post("/settings/routes/add", asked).headers["Location"]
    assert "The traffic of ledgerwriter is split in production" in in_words(at_work.get(path))
    assert "GRPCRoute" in in_words(at_work.get(path))
    kept = {"namespace": "bank", "name": "ledger", "system": "gateway", "kind": "GRPCRoute"}
    assert Route.objects.get().locator == kept
    again = at_work.post("/settings/routes/add", asked)
    assert again.status_code == 422
    assert "Its traffic is split there already" in in_words(again)
    at_work.post(f"{path}/remove")
    assert not Route.objects.exists()


@pytest.mark.parametrize("said", ["[" * 4900, "9" * 4900, "99999999999999999999", "1e999", "NaN"])
def test_a_setting_that_our_json_cannot_carry_stays_the_text_it_is(at_work, said):
    given = {
        "name": "figures",
        "kind": "prometheus",
        "origin": "https://prometheus.example.com",
        "config": f"x: {said}",
    }

    answer = at_work.post("/settings/connections/add", given)

    assert answer.status_code == 302, in_words(answer)
    assert Connection.objects.get(name="figures").config == {"x": said}
