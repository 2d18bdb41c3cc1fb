"""A binding with places and a way back of its own goes through a configuration file and comes back the same."""

import pytest

from releases.catalog import services as catalog
from releases.catalog.kinds import Purpose
from releases.catalog.models import Binding
from releases.setup.document import Unfit
from releases.setup.queries import export
from releases.setup.services import apply
from tests.factories.accounts import NOW, SETUP
from tests.factories.catalog import a_connection, a_service, an_environment
from tests.factories.setup import the_first_owner

pytestmark = pytest.mark.django_db
SETTINGS = {
    "job": "ledger/deploy",
    "parameters": {"TAG": "{{ item.version }}", "RUN": "{{ operation.key }}", "PASS": "{{ permit }}"},
    "options": {"via": "v2"},
    "back": {"job": "ledger/back", "options": {"task": "undoRolloutManifest", "account": "bank"}},
}


def test_places_and_the_way_back_come_through_a_file_as_they_were_and_a_wrong_place_is_named():
    owner = the_first_owner()
    place = {"actor": SETUP, "service_id": a_service("cart").pk, "environment_id": an_environment().pk, "now": NOW}
    catalog.bind(**place, purpose=Purpose.DEPLOY, connection_id=a_connection("ci").pk, settings=SETTINGS)
    text = export(actor=owner)
    catalog.bind(**place, purpose=Purpose.DEPLOY, connection_id=a_connection("other").pk, settings={"job": "x"})

    apply(actor=owner, text=text, dry_run=False, now=NOW)

    assert Binding.objects.get().settings == SETTINGS
    with pytest.raises(Unfit) as caught:
        apply(actor=owner, text=text.replace("item.version", "item.verson"), dry_run=False, now=NOW)
    (wrong,) = caught.value.problems
    assert "TAG: nobody fills in {{ item.verson }}" in str(wrong.sentence)
    assert Binding.objects.get().settings == SETTINGS
