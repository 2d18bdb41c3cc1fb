"""The page of a change says in its reader's language what the policy asks of the release itself."""

from html import unescape

from releases.catalog.kinds import EnvironmentKind
from releases.changes.states import State
from releases.committee.models import Policy
from releases.core import canonical
from tests.factories.catalog import an_environment
from tests.factories.changes import POLICY, a_change

PROMISES = {
    "en": "The policy wants exactly this artifact released well in staging first.",
    "pt-br": "A política quer exatamente este artefato liberado com sucesso em staging antes.",
}


def test_would_the_gate_open_names_what_comes_first(house, browse):
    an_environment("staging", EnvironmentKind.STAGING)
    change = a_change(house, at=State.SCHEDULED)
    rules = [{**POLICY[0], "after_environment": "staging", "soak_hours": 24}, *POLICY[1:]]
    Policy.objects.update(rules=canonical.encode(rules).decode(), digest=canonical.digest(rules))

    for language, sentence in PROMISES.items():
        page = browse(house.engineer).get(f"/changes/{change.number}", headers={"Accept-Language": language})
        assert sentence in unescape(page.content.decode())
