"""The page of traffic: drift first, who did it and when, a look on demand, and the way to have it as asked."""

import re
from datetime import timedelta

import pytest

from releases.accounts.rights import Right
from releases.catalog import services as catalog
from releases.catalog.kinds import ConnectionKind
from releases.core.errors import Sentence
from releases.operations.models import Operation
from releases.traffic.facts import Seen
from releases.traffic.models import Drift, Observation
from tests.factories.accounts import SETUP, a_token
from tests.factories.catalog import a_connection, a_service
from tests.factories.changes import a_change
from tests.factories.drifts import refused, seen, shifted
from tests.factories.shifts import running_cluster
from tests.factories.traffic import FULL

ASKED, MOVED = {"stable": 90, "canary": 10}, {"stable": 40, "canary": 60}
GIT = Sentence("Argo CD keeps this object as Git has it.")


@pytest.fixture
def now(now):
    """Begin some time ago, so that what happens after is not ahead of the clock."""
    return now - timedelta(minutes=30)


@pytest.fixture
def cluster(house):
    return a_connection("cluster", ConnectionKind.KUBERNETES, origin="https://cluster.example.com", now=house.now)


def a_split(house, connection, service=None, **named):
    """Register a route of a service."""
    service = service or house.service
    return catalog.register_route(
        actor=SETUP,
        service_id=service.pk,
        environment_id=house.environment.pk,
        connection_id=connection.pk,
        locator={"namespace": "bank-production", "name": service.name, "route": "primary", **named},
        stable="stable",
        canary="canary",
        now=house.now,
    )


def text_of(answer):
    return " ".join(re.sub(r"<[^>]+>", " ", answer.content.decode()).split())


@pytest.mark.django_db(transaction=True)
class TestTheList:
    def test_what_drifted_comes_first_with_who_and_what_becomes_of_a_restore(self, house, cluster, browse, now):
        calm = a_split(house, cluster, a_service("accounts-db"))
        moved = a_split(house, cluster)
        change = a_change(house)
        for route in (calm, moved):
            shifted(route.pk, ASKED, now, change_id=change.pk)
        edit = Seen(MOVED, "43", "uid-1", "Argo CD", GIT, "argocd-controller", now + timedelta(minutes=1))
        seen(moved.pk, edit, now + timedelta(minutes=2))

        page = browse(house.on_call).get("/traffic")
        said = text_of(page)

        assert said.index("ledgerwriter") < said.index("accounts-db")
        assert "The traffic of 1 route is not as asked" in said
        for words in ("drift 50 %", "argocd-controller wrote last", str(GIT), "also written by Argo CD", "Istio"):
            assert words in said
        html = page.content.decode()
        assert f"/traffic/drifts/{Drift.objects.get().pk}/restore" in html
        assert f'href="/changes/{change.number}"' in html
        assert 'aria-label="asked: 10 %' in html
        assert 'aria-label="observed: 60 %' in html

    def test_what_was_refused_is_not_what_was_asked(self, house, cluster, browse, now):
        route, untouched = a_split(house, cluster), a_split(house, cluster, a_service("accounts-db"))
        shifted(route.pk, ASKED, now)
        refused(route.pk, MOVED, now + timedelta(minutes=1))
        refused(untouched.pk, MOVED, now + timedelta(minutes=1))
        for one, weights in ((route, ASKED), (untouched, {"stable": 100, "canary": 0})):
            seen(one.pk, Seen(weights), now + timedelta(minutes=30))

        answer = browse(house.on_call).get("/traffic")

        assert 'aria-label="asked: 10 %' in answer.content.decode()
        assert 'aria-label="asked: 60 %' not in answer.content.decode()
        said = text_of(answer)
        assert "nothing asked yet" in said
        assert said.count("asked for stable 40, canary 60 last, and it was not made: ") == 2
        shifted(route.pk, ASKED, now + timedelta(minutes=40))
        assert text_of(browse(house.on_call).get("/traffic")).count("it was not made") == 1

    def test_who_counted_the_requests_is_said_beside_the_split_and_not_beside_a_drift(
        self, house, cluster, browse, client, now
    ):
        route, untold = a_split(house, cluster), a_split(house, cluster, a_service("accounts-db"))
        counted = Sentence("Prometheus 3.5.0 (Envoy 1.36.4 counts) saw 9.8 % of the requests.")
        shifted(route.pk, ASKED, now, evidence=counted)
        shifted(untold.pk, ASKED, now)
        seen(route.pk, Seen(ASKED), now + timedelta(minutes=2))

        person = browse(house.on_call)
        assert text_of(person.get("/traffic")).count(str(counted)) == 1
        assert str(counted) in text_of(person.get(f"/traffic/{route.pk}"))
        _row, secret = a_token(Right.CHANGE_READ, now=now)
        listed = client.get("/api/v1/traffic", headers={"Authorization": f"Bearer {secret}"}).json()["routes"]
        told = {one["service"]: one for one in listed}
        assert [(one["verification"], one["evidence"]) for one in (told["ledgerwriter"], told["accounts-db"])] == [
            ("observed", str(counted)),
            ("held", ""),
        ]
        seen(route.pk, Seen(MOVED), now + timedelta(minutes=4))
        assert str(counted) not in text_of(person.get("/traffic"))

    def test_weights_that_were_absent_are_shown_as_they_count(self, house, cluster, browse, now):
        route = a_split(house, cluster)
        shifted(route.pk, {"stable": None, "canary": None}, now, counted={"stable": 1, "canary": 1})
        seen(route.pk, Seen(MOVED), now + timedelta(minutes=2))

        said = text_of(browse(house.on_call).get("/traffic"))

        assert "stable 40, canary 60 instead of stable 1, canary 1" in said
        assert "drift 10 %" in said

    def test_a_reader_sees_it_and_is_offered_nothing(self, house, cluster, browse, now):
        route = a_split(house, cluster)
        shifted(route.pk, ASKED, now)
        seen(route.pk, Seen(MOVED), now + timedelta(minutes=2))

        said = text_of(browse(house.engineering).get("/traffic"))

        assert "drift 50 %" in said
        assert "Restore" not in said
        assert "Look now" not in said

    def test_what_cannot_be_seen_says_why(self, house, cluster, browse, now):
        route = a_split(house, cluster)
        shifted(route.pk, ASKED, now)
        seen(route.pk, Seen(why=Sentence("There is no VirtualService there.")), now + timedelta(minutes=2))

        said = text_of(browse(house.on_call).get("/traffic"))

        assert "1 route cannot be seen" in said
        assert "There is no VirtualService there." in said

    def test_today_tells_it_those_who_may_put_it_back(self, house, cluster, browse, now):
        route = a_split(house, cluster)
        shifted(route.pk, ASKED, now)
        seen(route.pk, Seen(MOVED, writer="kubectl-edit"), now + timedelta(minutes=2))
        assert "not as asked" not in text_of(browse(house.engineering).get("/"))

        said = text_of(browse(house.on_call).get("/"))

        assert "stable 40, canary 60 instead of stable 90, canary 10" in said
        assert "kubectl-edit wrote last" in said


@pytest.mark.django_db(transaction=True)
class TestOneRoute:
    def test_the_picture_and_the_table_tell_every_shift_look_and_drift(self, house, cluster, browse, now):
        route = a_split(house, cluster)
        change = a_change(house)
        shifted(route.pk, ASKED, now, change_id=change.pk)
        seen(route.pk, Seen(why=Sentence("No answer.")), now + timedelta(minutes=1))
        seen(route.pk, Seen(MOVED, writer="kubectl-edit"), now + timedelta(minutes=2), by="Olga Dias")
        seen(route.pk, Seen(ASKED), now + timedelta(minutes=3))

        page = browse(house.on_call).get(f"/traffic/{route.pk}")
        html, said = page.content.decode(), text_of(page)

        assert html.count('class="curve" points') == 2
        assert 'class="wanted" points' in html
        assert html.count('class="mark"') == 1
        assert html.count('<rect class="area" x=') == 1
        assert re.search(r"<title id=\"picture-title\">Share on canary, asked for and seen</title>", html)
        for words in (
            "Davi Nunes",
            "kubectl-edit",
            "Olga Dias",
            "No answer.",
            "CHG-",
            "asked for, confirmed",
            "It still stood when it was looked at again.",
            "drifted",
        ):
            assert words in said

    def test_weights_that_were_absent_stand_there_as_they_count_and_never_as_nothing(self, house, cluster, browse, now):
        route, absent = a_split(house, cluster), {"stable": None, "canary": None}
        shifted(route.pk, absent, now, counted={"stable": 1, "canary": 1})
        refused(route.pk, absent, now + timedelta(minutes=1))

        page = browse(house.on_call).get(f"/traffic/{route.pk}")

        assert "stable 1, canary 1" in text_of(page)
        assert "stable –, canary –" in text_of(page)
        assert "stable 0, canary 0" not in text_of(page)
        assert "Davi Nunes asked for 50 %" in page.content.decode()

    def test_a_route_nobody_looked_at_says_so(self, house, cluster, browse):
        said = text_of(browse(house.on_call).get(f"/traffic/{a_split(house, cluster).pk}"))

        assert "never seen" in said
        assert "Nothing was asked of it yet" in said

    def test_there_is_no_other_route(self, house, browse):
        assert browse(house.on_call).get(f"/traffic/{house.service.pk}").status_code == 404


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
class TestAgainstACluster:
    @pytest.fixture
    def mesh(self):
        with running_cluster() as mesh:
            yield mesh

    @pytest.fixture
    def route(self, house, mesh, now):
        there = a_connection("mesh", ConnectionKind.KUBERNETES, origin=mesh.url, account="", secret=FULL, now=house.now)
        route = a_split(house, there, name="frontend")
        mesh.edit(90, 10)
        shifted(route.pk, ASKED, now)
        return route

    def test_look_now_keeps_who_caused_it_and_shows_what_it_saw(self, house, mesh, route, browse):
        mesh.edit(40, 60)
        answer = browse(house.on_call).post(f"/traffic/{route.pk}/look", follow=True)

        assert "drift 50 %" in text_of(answer)
        assert Observation.objects.order_by("-last_at").first().seen_by == "Davi Nunes"

    def test_a_look_that_fails_says_why_on_the_page(self, house, mesh, route, browse):
        mesh.control("edit", kind="virtualservices", namespace="bank-production", name="frontend", delete=True)
        answer = browse(house.on_call).post(f"/traffic/{route.pk}/look")

        assert answer.status_code == 502
        assert "There is no VirtualService frontend" in text_of(answer)

    def test_who_may_only_read_makes_nobody_look(self, house, route, browse):
        assert browse(house.engineering).post(f"/traffic/{route.pk}/look").status_code == 403

    def test_restore_shows_what_it_would_write_and_then_begins(self, house, mesh, route, browse):
        mesh.edit(40, 60)
        davi = browse(house.on_call)
        davi.post(f"/traffic/{route.pk}/look")
        drift = Drift.objects.get()

        page = davi.get(f"/traffic/drifts/{drift.pk}/restore")
        html = page.content.decode()
        assert "/spec/http/" in html
        assert "stable 40, canary 60 goes back to stable 90, canary 10" in text_of(page)
        assert mesh.patches() == []

        shown = re.search(r'name="seen" value="([^"]+)"', html)[1].replace("&quot;", '"')
        answer = davi.post(f"/traffic/drifts/{drift.pk}/restore", {"seen": shown, "reason": ""})
        assert answer.status_code == 302
        assert Operation.objects.get(kind="restore").begun_by == "Davi Nunes"

    @pytest.mark.parametrize(("shown", "status"), [("", 400), ('{"stable": 1, "canary": 99}', 409)])
    def test_a_restore_of_other_weights_than_those_that_stand_is_refused(
        self, house, mesh, route, browse, shown, status
    ):
        mesh.edit(40, 60)
        davi = browse(house.on_call)
        davi.post(f"/traffic/{route.pk}/look")

        answer = davi.post(f"/traffic/drifts/{Drift.objects.get().pk}/restore", {"seen": shown})

        assert answer.status_code == status
        assert not Operation.objects.filter(kind="restore").exists()

    def test_who_may_not_restore_is_told_who_can(self, house, mesh, route, browse):
        mesh.edit(40, 60)
        browse(house.on_call).post(f"/traffic/{route.pk}/look")
        ana = browse(house.engineering)
        where = f"/traffic/drifts/{Drift.objects.get().pk}/restore"

        asked = len(mesh.cluster.log)
        said = text_of(ana.get(where))
        assert "Davi Nunes" in said
        assert len(mesh.cluster.log) == asked
        assert ana.post(where, {"seen": '{"stable": 40, "canary": 60}'}).status_code == 403

    def test_what_agrees_again_leads_back_to_the_list(self, house, mesh, route, browse):
        mesh.edit(40, 60)
        davi = browse(house.on_call)
        davi.post(f"/traffic/{route.pk}/look")
        mesh.edit(90, 10)
        davi.post(f"/traffic/{route.pk}/look")

        answer = davi.get(f"/traffic/drifts/{Drift.objects.get().pk}/restore", follow=True)

        assert answer.redirect_chain == [("/traffic", 302)]
