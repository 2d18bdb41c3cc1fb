"""An assessment is kept with every fact behind it, and reads back as it was computed."""

from uuid import uuid4

import pytest
from django.db import IntegrityError, transaction

from releases.core.errors import Sentence
from releases.impact import rules, services
from releases.impact.facts import Customers, History, Unknown
from releases.impact.lenses import Lens, Side
from releases.impact.models import Assessment, Factor
from tests.factories.accounts import NOW
from tests.factories.impact import SEEN, an_item, known, some_facts

pytestmark = pytest.mark.django_db


def assessed(facts, *, subject=None, revision_number=1, now=NOW):
    with transaction.atomic():
        return services.assess(subject=subject or uuid4(), revision_number=revision_number, facts=facts, now=now)


def test_what_is_stored_reads_back_exactly_as_it_was_computed():
    facts = some_facts(
        items=(an_item(criticality=known(4), data_classes=known(("money", "personal"))), an_item(service="contacts")),
        customers=known(Customers((("retail", 410_000),), notice_hours=72)),
        reach=Unknown("call graph"),
        history=known(History(20, 4)),
    )
    stored = assessed(facts)
    computed = rules.assess(facts, NOW)

    kept = Assessment.objects.get(pk=stored.pk)
    assert all(getattr(kept, name) == getattr(computed, name) for name in computed.__slots__ if name != "factors")
    assert [
        rules.Factor(
            Lens(one.lens),
            one.code,
            Side(one.side),
            one.points,
            one.sentence,
            one.source,
            one.seen_at,
            known=one.is_known,
        )
        for one in kept.factors.all()
    ] == list(computed.factors)


def test_each_fact_has_its_lens_source_and_age():
    stored = assessed(some_facts(reach=Unknown("call graph")))
    reach = stored.factors.get(code="reach")
    assert (reach.lens, reach.is_known, reach.source, reach.seen_at) == ("uptime", False, "call graph", None)
    tests = stored.factors.get(code="tests")
    assert (tests.lens, tests.is_known, tests.source, tests.seen_at) == ("delivery", True, "catalogue", SEEN)
    assert tests.sentence == Sentence("%(passed)s test passed.", {"passed": 318, "failed": 0})


def test_a_later_revision_has_its_own_and_the_earlier_stays():
    first = assessed(some_facts())
    second = assessed(some_facts(incidents=known(2)), subject=first.subject, revision_number=2)
    assert list(Assessment.objects.filter(subject=first.subject)) == [second, first]
    assert second.likelihood > first.likelihood
    assert Assessment.objects.get(pk=first.pk).likelihood == first.likelihood
    assert Factor.objects.count() == 2 * first.factors.count()


@pytest.mark.parametrize("values", [{"impact": 5}, {"impact": 0}, {"likelihood": 9}, {"level": "enormous"}])
def test_the_table_refuses_a_risk_that_does_not_exist(values):
    assessed(some_facts())
    with pytest.raises(IntegrityError), transaction.atomic():
        Assessment.objects.update(**values)
