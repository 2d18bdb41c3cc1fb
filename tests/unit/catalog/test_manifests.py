"""What is read from Kubernetes manifests, and how a broken one is named."""

from pathlib import Path

import pytest

from releases.catalog.imports import kubernetes
from releases.catalog.imports.manifests import FoundEdge, Manifests, hosts_in
from releases.catalog.kinds import DependencySource
from releases.core.errors import Invalid

BANK = Path(__file__).parents[3] / "gmud" / "demo" / "data" / "bank-of-anthos"
TRUE_EDGES = {
    ("balancereader", "ledger-db"),
    ("contacts", "accounts-db"),
    ("frontend", "balancereader"),
    ("frontend", "contacts"),
    ("frontend", "ledgerwriter"),
    ("frontend", "transactionhistory"),
    ("frontend", "userservice"),
    ("ledgerwriter", "balancereader"),
    ("ledgerwriter", "ledger-db"),
    ("loadgenerator", "frontend"),
    ("transactionhistory", "ledger-db"),
    ("userservice", "accounts-db"),
}
FALSE_EDGES = {("ledgerwriter", "contacts"), ("ledgerwriter", "transactionhistory"), ("ledgerwriter", "userservice")}


def pairs(edges: tuple[FoundEdge, ...], *, hints: bool) -> set[tuple[str, str]]:
    return {(one.caller, one.callee) for one in edges if one.source.is_hint is hints}


@pytest.fixture
def bank() -> Manifests:
    return kubernetes.read(BANK)


def test_the_bank_has_eight_services_and_a_load_generator(bank):
    assert [one.name for one in bank.services] == [
        "accounts-db",
        "balancereader",
        "contacts",
        "frontend",
        "ledger-db",
        "ledgerwriter",
        "loadgenerator",
        "transactionhistory",
        "userservice",
    ]
    ledger = next(one for one in bank.services if one.name == "ledgerwriter")
    assert (ledger.team, ledger.tier, ledger.environment) == ("ledger", "backend", "development")


def test_no_false_edge_of_the_bank_is_taken_as_fact_and_no_true_edge_is_lost(bank):
    facts, hints = pairs(bank.edges, hints=False), pairs(bank.edges, hints=True)
    assert facts <= TRUE_EDGES
    assert hints & FALSE_EDGES == FALSE_EDGES
    assert facts | hints == TRUE_EDGES | FALSE_EDGES
    assert ("loadgenerator", "frontend") in facts
    assert ("ledgerwriter", "ledger-db") in facts


def test_each_image_with_a_digest_gives_an_artifact(bank):
    assert len(bank.artifacts) == 9
    front = next(one for one in bank.artifacts if one.service == "frontend")
    assert front.version == "v0.6.10"
    assert front.digest == "sha256:076294ce717309f711743fa3b72a9809c7f156edf1c4fa58505fd9f436d65345"
    assert front.image.endswith("/frontend")


def test_no_value_of_a_variable_is_kept(bank):
    everything = repr(bank)
    assert "accounts-pwd" not in everything
    assert "bankofanthos" not in everything.replace("bank-of-anthos", "")


@pytest.mark.parametrize(
    ("name", "value", "hosts"),
    [
        ("FRONTEND_ADDR", "frontend:80", {"frontend"}),
        ("BACKENDS", "one:80,two:81 three:82", {"one", "two", "three"}),
        ("DATABASE", "jdbc:postgresql://ledger-db:5432/postgresdb", {"ledger-db"}),
        ("DATABASE", "postgresql://user:p:w@accounts-db:5432/accounts", {"accounts-db"}),
        ("API", "https://contacts", {"contacts"}),
        ("API", "http://contacts.bank.svc.cluster.local:8080/x", {"contacts"}),
        ("API", "contacts.bank.svc", {"contacts"}),
        ("CONTACTS_HOST", "contacts", {"contacts"}),
        ("POSTGRES_DB", "accounts-db", set()),  # a database's name, not an address
        ("LOG_LEVEL", "info", set()),
        ("JVM_OPTS", "-Xms256m -XX:+UseG1GC", set()),
        ("IMAGE", "contacts@sha256:00", set()),
    ],
)
def test_an_address_is_told_from_a_word(name, value, hosts):
    assert hosts_in(name, value) == hosts


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: {{team: {team}, tier: backend, environment: production}}
spec:
  template:
    metadata:
      labels: {{app: {app}}}
    spec:
      containers:
      - name: main
        image: {image}
        {rest}
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata:
  name: {name}
spec:
  selector: {{app: {name}}}
"""
CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
data: {data}
"""


def deployment(name: str, *, app: str = "", image: str = "shop/app:v1", rest: str = "", team: str = "shop") -> str:
    return DEPLOYMENT.format(name=name, app=app or name, image=image, rest=rest, team=team)


def read(folder: Path, *documents: str, **options: str) -> Manifests:
    (folder / "all.yaml").write_text("---".join(documents))
    return kubernetes.read(folder, **options)


def takes(config_map: str) -> str:
    return f"envFrom: [{{configMapRef: {{name: {config_map}}}}}]"


def test_a_variable_of_its_own_is_a_fact_also_when_it_is_one_chosen_key(tmp_path):
    chosen = "env: [{name: CART, valueFrom: {configMapKeyRef: {name: book, key: cart}}}]"
    found = read(
        tmp_path,
        deployment("shop", rest=chosen),
        deployment("cart"),
        deployment("mail"),
        SERVICE.format(name="cart"),
        SERVICE.format(name="mail"),
        CONFIG.format(name="book", data='{cart: "cart:80", mail: "mail:25"}'),
    )
    assert found.edges == (FoundEdge("shop", "cart", DependencySource.ENVIRONMENT, "CART"),)


def test_a_config_map_that_one_workload_takes_is_its_own_word(tmp_path):
    found = read(
        tmp_path,
        deployment("shop", rest=takes("shop-config")),
        deployment("cart"),
        deployment("mail"),
        SERVICE.format(name="cart"),
        SERVICE.format(name="mail"),
        CONFIG.format(name="shop-config", data='{A: "cart:80", B: "mail:25"}'),
    )
    assert pairs(found.edges, hints=False) == {("shop", "cart"), ("shop", "mail")}


def test_an_address_that_everybody_gets_is_a_hint_even_when_it_is_the_only_one(tmp_path):
    found = read(
        tmp_path,
        deployment("shop", rest=takes("common")),
        deployment("cart", rest=takes("common")),
        deployment("tracing"),
        SERVICE.format(name="tracing"),
        CONFIG.format(name="common", data='{TRACES: "tracing:4317"}'),
    )
    assert pairs(found.edges, hints=False) == set()
    assert pairs(found.edges, hints=True) == {("shop", "tracing"), ("cart", "tracing")}


def test_a_config_map_that_says_whose_it_is_makes_facts_of_those_who_take_it(tmp_path):
    found = read(
        tmp_path,
        deployment("shop", rest=takes("ledger-db-access")),
        deployment("cart", rest=takes("ledger-db-access")),
        deployment("ledger-db"),
        SERVICE.format(name="ledger-db"),
        CONFIG.format(name="ledger-db-access", data='{DB: "ledger-db:5432"}'),
    )
    assert pairs(found.edges, hints=False) == {("shop", "ledger-db"), ("cart", "ledger-db")}


def test_several_versions_behind_one_kubernetes_service_are_one_service(tmp_path):
    found = read(
        tmp_path,
        deployment("reviews-v1", app="reviews", image=f"shop/reviews:v1@sha256:{'1' * 64}"),
        deployment("reviews-v2", app="reviews", image=f"shop/reviews:v2@sha256:{'2' * 64}"),
        SERVICE.format(name="reviews"),
    )
    assert [one.name for one in found.services] == ["reviews"]
    assert [(one.service, one.version) for one in found.artifacts] == [("reviews", "v1"), ("reviews", "v2")]


def test_an_image_without_a_digest_gives_no_artifact(tmp_path):
    assert read(tmp_path, deployment("shop", image="localhost:5000/shop:v1")).artifacts == ()


def test_a_service_without_an_owner_needs_one_named(tmp_path):
    nobody = SERVICE.format(name="mainframe")
    with pytest.raises(Invalid) as caught:
        read(tmp_path, nobody)
    assert list(caught.value.fields) == ["all.yaml, document 1, metadata.labels.team"]
    assert read(tmp_path, nobody, default_team="core").services[0].team == "core"


def test_a_missing_config_map_is_told_and_not_guessed(tmp_path):
    found = read(tmp_path, deployment("shop", rest=takes("elsewhere")))
    assert ["elsewhere" in str(note) for note in found.notes] == [True]


@pytest.mark.parametrize(
    ("document", "where"),
    [
        ("kind: Deployment\nmetadata: {name: [1}", "all.yaml, document 2, line 9, column 20"),
        ("just words", "all.yaml, document 2, kind"),
        ("- a\n- list", "all.yaml, document 2, kind"),
        ("metadata: {name: x}", "all.yaml, document 2, kind"),
        ("kind: Service\nmetadata: {}", "all.yaml, document 2, metadata.name"),
        ("kind: Service\nmetadata: {name: Shop}", "all.yaml, document 2, metadata.name"),
        ("kind: Service\nmetadata: {name: lеdger}", "all.yaml, document 2, metadata.name"),
        ("kind: Service\nmetadata: words", "all.yaml, document 2, metadata.name"),
        ("kind: Service\nmetadata: {name: shop, labels: [a]}", "all.yaml, document 2, metadata.labels"),
        ("kind: Service\nmetadata: {name: shop, labels: {team: 7}}", "all.yaml, document 2, metadata.labels.team"),
        (
            "kind: Service\nmetadata: {name: shop, labels: {team: The Shop}}",
            "all.yaml, document 2, metadata.labels.team",
        ),
        (SERVICE.format(name="cart"), "all.yaml, document 2, metadata.name"),
        ("kind: ConfigMap\nmetadata: {name: x}\ndata: {PORT: 80}", "all.yaml, document 2, data.PORT"),
        ("kind: Deployment\nmetadata: {name: shop}", "all.yaml, document 2, spec.template.spec.containers"),
        (
            "kind: Deployment\nmetadata: {name: shop}\nspec: {template: {spec: {containers: []}}}",
            "all.yaml, document 2, spec.template.spec.containers",
        ),
        (
            "kind: Deployment\nmetadata: {name: shop}\nspec: {template: {spec: {containers: [{name: x}]}}}",
            "all.yaml, document 2, spec.template.spec.containers[0].image",
        ),
        (deployment("shop", image="shop@sha256:short"), "all.yaml, document 2, spec.template.spec.containers[0].image"),
        (
            deployment("shop", rest="env: [{name: A, value: ok}, {name: B, value: 7}]"),
            "all.yaml, document 2, spec.template.spec.containers[0].env[1].value",
        ),
        (deployment("shop", rest="env: words"), "all.yaml, document 2, spec.template.spec.containers[0].env"),
    ],
)
def test_a_broken_document_is_named_by_file_number_and_field(tmp_path, document, where):
    good = SERVICE.format(name="cart").strip() + "\n"
    with pytest.raises(Invalid) as caught:
        read(tmp_path, good, "\n" + document, default_team="shop")
    assert list(caught.value.fields) == [where]
    assert "Nothing was imported" in str(caught.value)


def test_every_broken_document_is_named_at_once(tmp_path):
    (tmp_path / "a.yaml").write_text("kind: Service\nmetadata: {}")
    (tmp_path / "b.yaml").write_text("kind: [")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.yml").write_bytes(b"kind: \xff")
    with pytest.raises(Invalid) as caught:
        kubernetes.read(tmp_path)
    assert [place.split(", ")[0] for place in caught.value.fields] == ["b.yaml", "sub/c.yml", "a.yaml"]


@pytest.mark.parametrize(
    "content",
    ["x: " + "[" * 5000, "!!python/object/apply:os.system ['true']", "a: &a [x]\nb: *c", "kind: \x00"],
)
def test_a_hostile_file_is_named_and_does_nothing(tmp_path, content):
    (tmp_path / "evil.yaml").write_text(content)
    with pytest.raises(Invalid) as caught:
        kubernetes.read(tmp_path)
    assert next(iter(caught.value.fields)).startswith("evil.yaml, document 1, ")


def test_a_huge_file_is_not_read(tmp_path):
    (tmp_path / "huge.yaml").write_text("# " + "x" * 1024 * 1024)
    with pytest.raises(Invalid, match="1 MiB"):
        kubernetes.read(tmp_path)


def test_an_empty_or_missing_folder_is_said(tmp_path):
    with pytest.raises(Invalid, match=r"has no \.yaml"):
        kubernetes.read(tmp_path)
    with pytest.raises(Invalid, match="no folder nowhere"):
        kubernetes.read(tmp_path / "nowhere")
