"""What is read of Backstage's files, what is left alone, and how a hostile one is named."""

import pytest

from releases.catalog.imports.files import File, read_files
from releases.catalog.imports.said import Reading, Section
from releases.core.errors import Invalid

CATALOG = """
apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: Card_Ledger.v2
  title: Card ledger
  description: Books what cards do.
  tags: [java, money, card]
spec:
  type: service
  lifecycle: production
  owner: group:default/cards
  system: default/issuing
  dependsOn: [component:default/limits, resource:default/ledger-db]
  dependencyOf: [statement]
  consumesApis: [fraud-api, outside-api]
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: limits}
spec: {type: service, lifecycle: deprecated, owner: cards}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: statement}
spec: {type: website, lifecycle: production, owner: user:default/ana}
---
apiVersion: backstage.io/v1alpha1
kind: Component
metadata: {name: fraud}
spec: {type: service, lifecycle: production, owner: cards, providesApis: [default/fraud-api]}
---
apiVersion: backstage.io/v1alpha1
kind: API
metadata: {name: fraud-api}
spec: {type: grpc, lifecycle: production, owner: cards, definition: x}
---
apiVersion: backstage.io/v1alpha1
kind: Resource
metadata: {name: ledger-db}
spec: {type: database, owner: cards}
"""


def read(text: str) -> Reading:
    return read_files([File("catalog-info.yaml", text.encode())])


def of(reading: Reading, section: Section) -> dict[tuple[str, ...], dict[str, object]]:
    return {one.key: dict(one.values) for one in reading.said if one.section is section}


def component(name: str = "cart", spec: str = "type: service, lifecycle: production, owner: shop", **more: str) -> str:
    extra = "".join(f", {key}: {value}" for key, value in more.items())
    return f"apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {{name: {name}{extra}}}\nspec: {{{spec}}}\n"


def test_a_component_is_a_service_its_owner_a_team_its_type_the_tier():
    services = of(read(CATALOG), Section.SERVICES)
    assert services["card-ledger-v2",] == {
        "name": "card-ledger-v2",
        "tier": "service",
        "team": "cards",
        "title": "Card ledger",
        "data_classes": ["card", "money"],
        "description": "Books what cards do.\n\nsystem: issuing · lifecycle: production · tags: card, java, money",
    }
    assert "team" not in services["statement",]  # a person owns it there: nobody guesses a team


def test_edges_come_from_dependencies_both_ways_and_from_apis():
    assert {key: said["detail"] for key, said in of(read(CATALOG), Section.DEPENDENCIES).items()} == {
        ("card-ledger-v2", "fraud", "backstage"): "consumesApis fraud-api",
        ("card-ledger-v2", "limits", "backstage"): "dependsOn",
        ("statement", "card-ledger-v2", "backstage"): "dependencyOf",
    }


def test_what_has_no_place_here_is_left_alone_and_said():
    left = [str(one) for one in read(CATALOG).left]
    assert "1 API is left alone: it has no place here." in left
    assert "1 Resource is left alone: it has no place here." in left
    assert "limits is deprecated in Backstage: retire it on its page when it is gone." in left
    assert any("api:outside-api, resource:ledger-db" in one for one in left)


@pytest.mark.parametrize(
    ("text", "place", "field"),
    [
        (component(name="'[x]'"), 1, "metadata.name"),
        (component(spec="lifecycle: production, owner: shop"), 1, "spec.type"),
        (component(spec="type: service, owner: shop"), 1, "spec.lifecycle"),
        (component(spec="type: service, lifecycle: x, owner: 'a b'"), 1, "spec.owner"),
        (component(spec="type: service, lifecycle: x, owner: shop, dependsOn: limits"), 1, "spec.dependsOn"),
        (component(spec="type: service, lifecycle: x, owner: shop, dependsOn: [7]"), 1, "spec.dependsOn[0]"),
        (component(spec="type: service, lifecycle: x, owner: shop, dependsOn: ['a:b:c']"), 1, "spec.dependsOn[0]"),
        (component(description="'=1+1'"), 1, "metadata.description"),
        (component() + "---\n" + component(name="x", title="{a: b}"), 2, "metadata.title"),
    ],
)
def test_a_broken_document_is_named_by_number_and_field(text, place, field):
    assert [(one.place.document, one.field) for one in read(text).flaws] == [(place, field)]


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (BOMB, "Anchors and aliases"),
        ("kind: !!python/object/apply:os.system ['true']", "Tags such as"),
        ("kind: !mine x", "Tags such as"),
        ("kind: Component\nkind: API", "stands here twice"),
        ("x: " + "[" * 100 + "]" * 100, "nested too deeply"),
        ("x: " + "[" * 100_000, "nested too deeply"),
        ("kind: x\nday: 2026-13-45", "This is not YAML"),
        ("kind: x\nn: " + "9" * 5000, "This is not YAML"),
        ("kind: \0", "This is not YAML"),
        ("kind: [", "This is not YAML"),
        ("just words", "neither a Kubernetes object nor a Backstage entity"),
    ],
)
def test_a_hostile_file_is_named_and_nothing_is_built_of_it(text, what):
    flaws = read(text).flaws
    assert what in str(flaws[0].sentence)
    assert flaws[0].place.file == "catalog-info.yaml"


def test_what_is_too_much_is_refused_in_words():
    with pytest.raises(Invalid, match="more than 2 MiB: import it in parts"):
        read_files([File("a.csv", b"x" * (10 * 1024 * 1024))])
    with pytest.raises(Invalid, match="more than 100 files"):
        read_files([File("a.csv", b"name,team\n")] * 101)
    with pytest.raises(Invalid, match="Choose a file"):
        read_files([File("a.csv", b"  ")])


def test_files_of_all_forms_are_read_together():
    deployment = "apiVersion: v1\nkind: Service\nmetadata: {name: pricing, labels: {team: shop}}\n"
    reading = read_files(
        [
            File("one.yaml", (component() + "---\n" + deployment).encode()),
            File("text", b"caller;callee\ncart;pricing\n"),
        ]
    )
    assert [str(one) for one in reading.forms] == [
        "text: CSV of dependencies, 1 row, separated by semicolons, in UTF-8",
        "Backstage: 1 component",
        "Kubernetes: 1 service",
    ]
    assert not reading.flaws
