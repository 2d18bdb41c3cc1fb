"""Every field of a change is in the digest people approve, or explicitly out of it: nothing new slips past a vote."""

from collections.abc import Collection, Iterator

import pytest
from django.apps import apps

from releases.changes.document import IN_DIGEST, OUT_OF_DIGEST

MODELS = ("ChangeRequest", "Item", "RollbackPlan")


def fields_of(name: str) -> set[str]:
    """Return the columns and many-to-many relations of one of our models."""
    model = apps.get_model("releases", name)
    return {field.name for field in model._meta.get_fields() if field.concrete}


def findings(fields: Collection[str], inside: Collection[str], outside: Collection[str]) -> Iterator[str]:
    """Yield the fields that are nowhere, in both, or named and gone."""
    for field in sorted({*fields, *inside, *outside}):
        if field not in fields:
            yield f"{field} is named and does not exist"
        elif field in inside and field in outside:
            yield f"{field} is said to be in and out"
        elif field not in inside and field not in outside:
            yield f"{field} is neither in the digest nor explicitly out of it"


@pytest.mark.parametrize("name", MODELS)
def test_every_field_is_in_the_digest_or_explicitly_out(name):
    assert list(findings(fields_of(name), IN_DIGEST[name], OUT_OF_DIGEST[name])) == []


def test_a_new_field_is_found():
    assert list(findings({"plan", "new"}, {"plan"}, set())) == ["new is neither in the digest nor explicitly out of it"]


def test_a_field_that_is_gone_or_on_both_sides_is_found():
    assert len(list(findings({"plan"}, {"plan", "gone"}, {"plan"}))) == 2
