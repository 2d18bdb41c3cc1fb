"""What is asked of Argo Rollouts and Flagger from the page and over the API: who may, by the gate, on the record."""

import copy

import pytest
from django.test import Client

from releases.accounts.models import User
from releases.accounts.rights import Right
from releases.audit import queries as audit
from releases.catalog import queries as catalog
from releases.catalog import services as catalog_services
from releases.catalog.kinds import ConnectionKind
from releases.changes import services as changes
from releases.changes.models import ChangeRequest
from releases.changes.states import State
from releases.core import clock
from releases.core.errors import NotPermitted, Refused
from releases.gate import services as gate
from releases.gate.models import GateDecision
from releases.rollout.outlook import outlooks
from releases.traffic.drivers.ports import Wish
from releases.traffic.ports import NotEditable, Outcome
from releases.traffic.services.driving import FORWARD, RIGHTS, wish
from releases.traffic.services.looking import look
from tests.factories.accounts import SETUP, a_token
from tests.factories.changes import a_change, a_house, inside
from tests.factories.gate import with_keys
from tests.factories.shifts import running_cluster
from tests.factories.traffic import FULL, recording

pytestmark = pytest.mark.django_db(transaction=True)
JSON = "application/json"


class Driven:
    """A change that is being released, on a route that somebody drives."""

    def __init__(self, mesh, now):
        self.mesh, self.now, self.house = mesh, now, a_house(now, service="frontend")
        edge = catalog_services.connect(
            actor=SETUP, name="mesh", kind=ConnectionKind.KUBERNETES, origin=mesh.url, secret=FULL, now=now
        )
        row = catalog_services.register_route(
            actor=SETUP,
            service_id=self.house.service.pk,
            environment_id=self.house.environment.pk,
            connection_id=edge.pk,
            locator={"namespace": "bank-production", "name": "frontend", "route": "primary"},
            stable="stable",
            canary="canary",
            now=now,
        )
        self.route = catalog.route(row.pk)
        look(route_id=row.pk, now=now)
        self.change = a_change(self.house, at=State.IMPLEMENTING)
        self.at = inside(self.change)

    def drive(self, name="rollout-get-paused-200", **status):
        found = copy.deepcopy(recording(name)["response"]["body"])
        found["metadata"] |= {"namespace": "bank-production", "name": "frontend"}
        if found["kind"] == "Rollout":
            found["spec"]["strategy"]["canary"]["trafficRouting"] = {"istio": {"virtualService": {"name": "frontend"}}}
        else:
            found["spec"]["service"] = {"name": "frontend", "port": 8080}
        found["status"] |= status
        self.mesh.control("edit", create=found)

    def ask(self, asked, *, who="on_call", driver="frontend", reason="errors rise"):
        return wish(
            change_id=self.change.pk,
            route_id=self.route.id,
            driver=driver,
            wish=asked,
            actor=self.house.actor(who),
            reason=reason,
            now=self.at,
        )

    def told(self):
        return [one for one in audit.story(self.change.stream) if one.kind.startswith("driver.")]

    def patches(self):
        return [one["path"].rpartition("/namespaces/")[2] for one in self.mesh.patches()]


@pytest.fixture
def driven(now, settings, tmp_path):
    with_keys(settings, tmp_path / "keys")
    with running_cluster() as mesh:
        yield Driven(mesh, now)


def test_an_abort_is_asked_on_the_record_with_who_and_why(driven):
    driven.drive()
    assert driven.ask(Wish.ABORT).outcome is Outcome.APPLIED
    assert driven.patches() == ["bank-production/rollouts/frontend/status"]
    asked, answered = driven.told()
    assert (asked.kind, asked.data["wish"], asked.actor_name) == ("driver.asked", "abort", "Davi Nunes")
    assert asked.text["reason"] == "errors rise"
    assert (answered.kind, answered.data["outcome"]) == ("driver.answered", "applied")
    assert not GateDecision.objects.exists()


def test_what_a_driver_refuses_is_told_in_words_and_recorded(driven):
    driven.drive(currentPodHash="5c4b", stableRS="5c4b")
    with pytest.raises(NotEditable, match="cannot do that for frontend as it stands"):
        driven.ask(Wish.ABORT)
    answered = driven.told()[-1]
    assert answered.data["outcome"] == "refused"
    assert "cannot do that" in answered.data["why"]["text"]
    assert not driven.patches()


def test_a_promotion_passes_the_gate_and_is_not_asked_when_it_stays_closed(driven):
    driven.drive()
    changes.hold(change_id=driven.change.pk, actor=driven.house.actor("manager"), reason="Wait", now=driven.at)
    with pytest.raises(Refused, match="gate does not open"):
        driven.ask(Wish.PROMOTE, who="manager")
    assert not driven.patches()
    assert not driven.told()

    changes.resume(change_id=driven.change.pk, actor=driven.house.actor("manager"), now=driven.at)
    assert driven.ask(Wish.PROMOTE, who="manager").outcome is Outcome.APPLIED
    assert GateDecision.objects.latest("decided_at").intent == "promote"
    assert [one.kind for one in driven.told()] == ["driver.asked", "driver.answered"]


def test_a_retry_is_not_sent_when_somebody_went_back_after_the_gate_opened(driven, monkeypatch):
    driven.drive("rollout-abort-200")
    redeem = gate.redeem

    def overtaken(**asked):
        redeem(**asked)
        ChangeRequest.objects.filter(pk=driven.change.pk).update(state=State.ROLLING_BACK)

    monkeypatch.setattr(gate, "redeem", overtaken)
    with pytest.raises(Refused, match="No release"):
        driven.ask(Wish.RETRY, who="manager")
    assert not driven.patches()
    assert not driven.told()


def test_nobody_asks_without_the_right(driven):
    for asked in Wish:
        with pytest.raises(NotPermitted):
            driven.ask(asked, who="security")
    assert not driven.told()


def test_every_wish_has_its_rights_and_what_takes_back_never_waits_for_the_gate():
    assert set(RIGHTS) == set(Wish)
    assert {one for one in Wish if Right.ROLLBACK_BEGIN in RIGHTS[one]} == set(Wish) - FORWARD


def test_flagger_is_not_asked_it_asks_and_the_sentence_says_so(driven):
    driven.drive("flagger-get-200")
    with pytest.raises(Refused, match="Go back with this change"):
        driven.ask(Wish.ROLLBACK)
    (shown,) = outlooks(driven.change)
    assert Wish.ROLLBACK in shown.drivers[0].wishes


def test_a_driver_of_another_name_is_not_asked(driven):
    driven.drive()
    for name in ("nobody", ""):
        with pytest.raises(Refused, match="drives this route"):
            driven.ask(Wish.ABORT, driver=name)
    assert not driven.patches()


def test_over_the_api_the_route_is_shown_and_its_driver_is_asked(driven):
    driven.drive()
    _row, token = a_token(Right.CHANGE_READ, Right.ROLLBACK_BEGIN, now=clock.now())
    client = Client(headers={"Authorization": f"Bearer {token}"})
    address = f"/api/v1/changes/{driven.change.number}/routes"
    (shown,) = client.get(address).json()["routes"]
    assert (shown["service"], shown["before"], shown["owner"]) == ("frontend", {"stable": 100, "canary": 0}, "")
    assert "Argo Rollouts drives this route" in shown["obstacles"][0]
    assert "abort" in shown["drivers"][0]["wishes"]

    asked = {"driver": "frontend", "wish": "abort", "reason": "errors rise"}
    place = f"{address}/{shown['route']}/wishes"
    assert client.post(place, asked, JSON).json()["system"] == "Argo Rollouts"
    assert client.post(place, {**asked, "wish": "promote"}, JSON).status_code == 403
    assert client.post(place, {**asked, "wish": "explode"}, JSON).status_code == 400
    refused = client.post(place, {**asked, "wish": "rollback"}, JSON)
    assert (refused.status_code, refused.json()["reasons"][0]["code"]) == (409, "asks_by_itself")


def signed_in(driven, who):
    client = Client()
    user = User.objects.get(person=getattr(driven.house, who))
    client.force_login(user, backend="releases.accounts.backends.PersonBackend")
    return client


def test_the_page_offers_what_may_be_asked_and_shows_it_again_with_what_was_refused(driven):
    driven.drive()
    client, number = signed_in(driven, "on_call"), driven.change.number
    shown = client.get(f"/live/{number}/routes").content.decode()
    assert "Argo Rollouts frontend drives this route" in shown
    assert 'value="abort"' in shown
    assert 'value="promote"' not in shown  # on-call may take back, and not release

    ask = f"/live/{number}/routes/{driven.route.id}/ask"
    assert client.post(ask, {"driver": "frontend", "wish": "abort"}).status_code == 302
    assert 'value="abort"' not in client.get(f"/live/{number}/routes").content.decode()
    refused = client.post(ask, {"driver": "frontend", "wish": "promote"})
    assert (refused.status_code, "no right to do this" in refused.content.decode()) == (403, True)
    assert client.post(ask, {"driver": "frontend", "wish": "explode"}).status_code == 422


def test_the_page_shows_the_consequence_and_keeps_the_choice(driven):
    patch = [{"op": "add", "path": "/metadata/labels/kustomize.toolkit.fluxcd.io~1name", "value": "bank"}]
    where = {"kind": "virtualservices", "namespace": "bank-production", "name": "frontend"}
    driven.mesh.control("edit", **where, patch=patch)
    client, address = signed_in(driven, "manager"), f"/live/{driven.change.number}/routes"
    shown = client.get(address).content.decode()
    assert "it puts 100/0 back at its next interval" in shown
    assert "value: 90" in shown
    assert "Nobody has chosen yet" in shown

    choose = f"{address}/{driven.route.id}/choose"
    assert client.post(choose, {"choice": "git", "reason": "the freeze"}).status_code == 302
    assert "Marta Sá chose to change it in Git instead" in client.get(address).content.decode()
    assert client.post(choose, {"choice": "perhaps"}).status_code == 422
