"""Foreign keys obey the floors: a table points at its own room or at one below, never up or sideways."""

from collections.abc import Iterable, Iterator, Mapping

from django.apps import apps

from tests.house.tree import ROOT, floors

Key = tuple[str, str, str]  # room, model.field, room it points at


def keys() -> Iterator[Key]:
    """Yield every foreign key and many-to-many of our tables; tables of others stand on floor 0."""
    for model in apps.get_app_config("releases").get_models():
        for field in model._meta.get_fields():
            if field.is_relation and field.concrete and field.related_model:
                yield _room(model), f"{model.__name__}.{field.name}", _room(field.related_model)


def findings(found: Iterable[Key], floor_of: Mapping[str, int]) -> Iterator[str]:
    """Yield the keys that point up or at a neighbour."""
    for room, name, target in found:
        if target != room and floor_of.get(target, 0) >= floor_of[room]:
            yield f"{name} in {room} points at {target}, which is not below it"


def _room(model: type) -> str:
    parts = model.__module__.split(".")
    return parts[1] if parts[0] == "releases" else parts[0]


def test_every_foreign_key_points_downward():
    found = list(keys())

    assert found
    assert list(findings(found, floors(ROOT))) == []


def test_a_key_that_points_up_or_sideways_is_found():
    planted = [("catalog", "Service.change", "changes"), ("impact", "Factor.round", "committee")]

    assert len(list(findings(planted, floors(ROOT)))) == 2


def test_the_floors_are_read_as_the_contract_says():
    floor_of = floors(ROOT)

    assert floor_of["core"] == 1
    assert floor_of["calendar"] == floor_of["committee"] < floor_of["changes"] < floor_of["gate"] < floor_of["web"]
