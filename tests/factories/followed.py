"""A deployment that a worker follows, look by look, at a Jenkins that does as it is told."""

from datetime import datetime
from typing import Any
from uuid import UUID

from releases.audit import queries as audit
from releases.delivery import queries, services
from releases.delivery.models import Wish
from releases.delivery.queries import DeploymentCard
from releases.delivery.states import Act
from releases.delivery.steps import DeployStep
from tests.factories.accounts import NOW, SETUP
from tests.factories.delivery import JOB, Clock, World, a_deployment, begin, control, permit, requests_of, run


class Followed:
    """A deployment that a worker follows."""

    def __init__(self, world: World, *, now: datetime = NOW, change_id: UUID | None = None, **job: Any) -> None:
        self.world = world
        control(world.url, "settings", {"jobs": {JOB: job}})
        self.clock = Clock(now)
        self.row = a_deployment(world, change_id=change_id)
        self.operation = begin([services.step_for(self.row)], self.row.change_id, now)
        self.steps = {services.STEP_KIND: DeployStep(lambda _deployment: permit(), self.clock)}
        self.look()

    def look(self, looks: int = 12) -> DeploymentCard:
        self.operation = run(self.operation, self.steps, self.clock, looks=looks)
        return self.card

    @property
    def card(self) -> DeploymentCard:
        return queries.deployment(self.row.pk, now=self.clock.now)

    def ask(self, act: Act) -> Wish:
        return services.ask(deployment_id=self.row.pk, act=act, actor=SETUP, now=self.clock.now)

    def answer(self, question: str, *, goes_on: bool = True, **more: Any) -> Wish:
        said: dict[str, Any] = {"deployment_id": self.row.pk, "question": question, "goes_on": goes_on, "actor": SETUP}
        return services.answer(**said, now=self.clock.now, **more)

    def sent(self, word: str) -> list[dict[str, Any]]:
        return [one for one in requests_of(self.world.url) if one["method"] == "POST" and word in one["path"]]

    def told(self) -> list[str]:
        return [entry.kind for entry in audit.story(self.row.stream)]
