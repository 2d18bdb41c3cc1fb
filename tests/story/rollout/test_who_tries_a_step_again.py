"""A step that waits is tried again by those who may do such work, whichever door they come through."""

import pytest

from releases.accounts.roles import Role
from releases.core.errors import NotPermitted, Stale
from releases.rollout import services
from releases.rollout.states import Work
from tests.factories.accounts import a_person, actor_of
from tests.factories.operations import Clock, Outside, an_operation, work


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("kind", "refused", "allowed"),
    [
        (Work.ROLLOUT, Role.ON_CALL, Role.RELEASE_MANAGER),
        ("rollback", Role.ENGINEER, Role.ON_CALL),
    ],
)
def test_only_those_with_the_right_for_it(kind, refused, allowed):
    clock, outside = Clock(), Outside(sends=[Stale("Somebody else changed the route.")])
    operation = work(an_operation(now=clock(), kind=kind), outside, clock)
    step = operation.steps.get()
    people = {role: actor_of(a_person(role.value, role, now=clock())) for role in (refused, allowed)}

    with pytest.raises(NotPermitted):
        services.retry_step(step_id=step.pk, actor=people[refused], now=clock())
    assert operation.steps.get().state == "needs_human"

    services.retry_step(step_id=step.pk, actor=people[allowed], now=clock())
    assert operation.steps.get().state == "todo"
