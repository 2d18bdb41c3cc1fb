"""Kong and APISIX, and what stands between, refuse, lie, fall silent and are written by others, each by name."""

import contextlib
from dataclasses import replace

import pytest

from gmud.sandbox import kong_store
from gmud.sandbox.apisix import VIEWER_KEY
from gmud.sandbox.server import Fault
from releases.core import http
from releases.core.errors import Rejected, Unreachable
from releases.traffic.admin import Absent, Forbidden, Throttled, Unknown
from releases.traffic.apisix.adapter import Apisix
from releases.traffic.apisix.client import ApisixClient
from releases.traffic.guarded import Guarded
from releases.traffic.kong.adapter import Kong
from releases.traffic.kong.client import KongClient
from releases.traffic.ports import Conflict, Contended, NotApplied, NotEditable, Outcome, RouteRef, Split, outcome_of
from tests.contract.traffic.stages.apisix import ROUTE as APISIX_ROUTE
from tests.contract.traffic.stages.apisix import apisix as apisix_stage
from tests.contract.traffic.stages.gateway import before, keyed_door
from tests.contract.traffic.stages.kong import HOST
from tests.contract.traffic.stages.kong import kong as kong_stage
from tests.factories.tls import a_certificate, over_tls

pytestmark = pytest.mark.once
ALL = Split({"stable": 0, "canary": 100})
OLD, NEW = {"stable": 90, "canary": 10}, {"stable": 0, "canary": 100}
JSON = {"Content-Type": "application/json"}
STAGES = {"kong": kong_stage, "apisix": apisix_stage}


@pytest.fixture
def kong():
    with kong_stage() as found:
        yield found


@pytest.fixture
def apisix():
    with apisix_stage() as found:
        yield found


@pytest.fixture(params=sorted(STAGES))
def stage(request):
    with STAGES[request.param]() as found:
        yield found


def write(stage, split=ALL):
    return stage.provider.write(stage.route, split, seen=stage.provider.read(stage.route).version)


def fault(stage, do, *, on="writing", skip=0, **more):
    """Plant a failure; ``skip`` requests of the kind pass before it."""
    found = Fault(do, **(stage.writing if on == "writing" else stage.reading), **more)
    passing = Fault("slow", method=found.method, path=found.path, seconds=0.0, times=skip)
    stage.sandbox.faults += [passing, found]


@contextlib.contextmanager
def in_a_hurry(stage, monkeypatch, *, until=0.0):
    """Give what has only the write wait no longer than a moment; looking for it begins ``until`` seconds later."""
    with monkeypatch.context() as patch:

        def rest(_seconds):
            patch.undo()
            stage.sandbox.closing.wait(until)

        stage.provider.sleep = rest
        yield lambda: patch.setattr(http, "TOTAL_SECONDS", 0.5)


class TestBetween:
    """What stands between us and the gateway."""

    @pytest.mark.parametrize("body", ['{"value": {"plug', "", "null", "7", '"text"', "{}", '{"data": 3, "value": []}'])
    def test_an_answer_cut_short_or_of_another_kind_is_not_believed(self, stage, body):
        fault(stage, "status:200", on="reading", body=body or " ", headers=JSON, times=9)
        with pytest.raises(Unreachable):
            stage.provider.read(stage.route)

    @pytest.mark.parametrize("body", ['{"id": "', "{}", "[]"])
    def test_a_write_with_such_an_answer_is_looked_up(self, stage, body):
        fault(stage, "status:200", body=body, headers=JSON)
        with pytest.raises(NotApplied):
            write(stage)
        assert stage.raw() == OLD

    def test_a_redirect_is_named_with_where_it_leads(self, stage):
        fault(stage, "status:302", on="reading", headers={"Location": "https://sso.example/login"})
        with pytest.raises(Unreachable, match=r"sends elsewhere \(302 to https://sso.example/login\)"):
            stage.provider.read(stage.route)

    def test_twenty_seconds_of_silence_end_at_the_limit_and_are_no_failure(self, stage, monkeypatch):
        seen = stage.provider.read(stage.route).version
        fault(stage, "silence", seconds=20.0)
        with pytest.raises(NotApplied) as raised, in_a_hurry(stage, monkeypatch) as hurry:
            stage.provider.write(stage.route, ALL, seen=seen, still=hurry)
        assert outcome_of(raised.value) is Outcome.NOT_APPLIED

    def test_silence_after_which_the_write_came_through_is_found_applied_or_half_applied(self, stage, monkeypatch):
        seen = stage.provider.read(stage.route).version
        fault(stage, "slow", seconds=0.8)
        with in_a_hurry(stage, monkeypatch, until=0.6) as hurry:
            if stage.provider.capabilities().is_atomic:
                assert stage.provider.write(stage.route, ALL, seen=seen, still=hurry).outcome is Outcome.APPLIED
                return
            with pytest.raises(Unreachable) as raised:
                stage.provider.write(stage.route, ALL, seen=seen, still=hurry)
        assert outcome_of(raised.value) is Outcome.UNKNOWN
        assert stage.provider.write(stage.route, ALL, seen=seen).outcome is Outcome.APPLIED
        assert stage.raw() == NEW

    @pytest.mark.parametrize("status", ["500", "502", "503", "504"])
    def test_a_server_error_says_nothing_about_what_was_done(self, stage, status):
        fault(stage, f"status:{status}")
        with pytest.raises(NotApplied, match=status):
            write(stage)

    @pytest.mark.parametrize(("status", "error"), [(401, Unknown), (403, Forbidden), (400, Rejected), (413, Rejected)])
    def test_a_clear_no_to_a_write_is_final_and_nothing_stands(self, stage, status, error):
        seen = stage.provider.read(stage.route).version
        fault(stage, f"status:{status}", body='{"message": "no"}', headers=JSON)
        with pytest.raises(error) as raised:
            stage.provider.write(stage.route, ALL, seen=seen)
        assert outcome_of(raised.value) is Outcome.REFUSED
        assert (stage.raw(), stage.writes()) == (OLD, 1)

    def test_asked_to_come_back_it_comes_back_when_it_was_told(self, stage):
        fault(stage, "status:429", headers={"Retry-After": "2"}, body="slow down", times=2)
        assert write(stage).outcome is Outcome.APPLIED
        assert stage.naps == [2.0, 2.0]

    def test_asked_for_ever_it_gives_up_and_nothing_stands(self, stage):
        fault(stage, "status:429", headers={"Retry-After": "3600"}, times=50)
        with pytest.raises(NotApplied, match="too many requests"):
            write(stage)
        fault(stage, "status:429", on="reading", times=50)
        with pytest.raises(Throttled):
            stage.provider.read(stage.route)
        assert max(stage.naps) <= 4.0


@pytest.fixture
def authority(tmp_path):
    return a_certificate(tmp_path)


def kong_at(url, **more):
    return Guarded(Kong(KongClient(replace(keyed_door(url, "Kong-Admin-Token"), **more))), sleep=lambda _seconds: None)


def apisix_at(url, **more):
    return Guarded(Apisix(ApisixClient(replace(keyed_door(url, "X-API-KEY"), **more))), sleep=lambda _seconds: None)


class TestCertificates:
    """Whom we trust, and whom they trust."""

    def test_an_apisix_that_another_authority_signed_hears_nothing(self, apisix, authority):
        with over_tls(apisix.sandbox, authority) as url:
            with pytest.raises(Unreachable, match="nobody vouches for it"):
                apisix_at(url).read(apisix.route)
            assert not apisix.sandbox.log
            assert apisix_at(url, ca_bundle=authority).read(apisix.route).weights == OLD

    def test_a_gateway_that_another_authority_signed_hears_nothing(self, kong, authority):
        with over_tls(kong.sandbox, authority) as url:
            with pytest.raises(Unreachable, match="nobody vouches for it"):
                kong_at(url).read(kong.route)
            assert not kong.sandbox.log
            assert kong_at(url, ca_bundle=authority).read(kong.route).weights == OLD

    def test_a_gateway_that_wants_a_client_certificate_gets_the_connections(self, kong, authority):
        with over_tls(kong.sandbox, authority, demands_a_client=True) as url:
            with pytest.raises(Unreachable):
                kong_at(url, ca_bundle=authority).read(kong.route)
            shown = kong_at(url, ca_bundle=authority, client_certificate=authority)
            assert shown.read(kong.route).weights == OLD

    def test_nginx_without_a_client_certificate_is_told_with_the_way_out(self, kong):
        kong.sandbox.settings.client_header = "X-Client-Verify"
        with pytest.raises(Rejected, match="Give the connection one"):
            kong.provider.read(kong.route)


class TestKong:
    """What only Kong does."""

    def test_without_a_database_it_is_read_and_never_written_and_the_way_out_is_told(self, kong):
        kong.sandbox.settings.database = "off"
        assert kong.provider.read(kong.route).weights == OLD
        assert "without a database" in str(kong.provider.preview(kong.route, ALL).obstacles[0])
        with pytest.raises(NotEditable, match="shift the HTTPRoute"):
            write(kong)
        assert kong.writes() == 0

    def test_a_database_that_was_taken_away_meanwhile_answers_405_which_is_told(self, kong):
        kong.provider.capabilities()
        kong.sandbox.settings.database = "off"
        with pytest.raises(Rejected, match="without a database") as raised:
            write(kong)
        assert raised.value.http_status == 405
        assert kong.raw() == OLD

    @pytest.mark.parametrize(
        "origin",
        ["https://eu.api.konghq.com/v2/control-planes/cp-1/core-entities", "https://gw.example/control-planes/x"],
    )
    def test_konnect_is_recognised_by_its_address_before_anything_is_sent(self, origin):
        door = keyed_door(origin, "Authorization")
        assert "decK" in str(Kong(KongClient(door)).capabilities().obstacle)

    def test_konnect_is_read_and_never_written(self, kong):
        kong.sandbox.settings.control_plane = "cp-1"
        origin = kong.provider.plane.client.door.origin
        door = keyed_door(f"{origin}/v2/control-planes/cp-1/core-entities", "Authorization", "Bearer x")
        kong.provider = Guarded(Kong(KongClient(door)))
        assert kong.provider.read(kong.route).weights == OLD
        with pytest.raises(NotEditable, match="Konnect"):
            write(kong)
        assert kong.writes() == 0

    @pytest.mark.parametrize(("version", "is_refused"), [("2.1.4", True), ("2.2.0", False), ("2.8.4.1", False)])
    def test_an_old_kong_is_refused_or_warned_of(self, kong, version, is_refused):
        kong.sandbox.settings.version = version
        preview = kong.provider.preview(kong.route, ALL)
        assert bool(preview.obstacles) is is_refused
        assert any("3.2.2" in str(one) for one in (*preview.obstacles, *preview.warnings))

    def test_a_workspace_is_where_its_upstream_is_found(self, kong):
        kong.sandbox.settings.tokens = {"sandbox-admin-key": {"user": "gmud", "actions": ["read", "update"]}}
        kong.sandbox.workspaces = {"default": kong_store.Workspace(), "shop": kong.space}
        with pytest.raises(NotEditable, match="Check its workspace"):
            kong.provider.read(kong.route)
        route = replace(kong.route, namespace="shop")
        seen = kong.provider.read(route).version
        assert kong.provider.write(route, ALL, seen=seen).reading.weights == NEW

    def test_a_role_that_may_only_read_is_told_by_its_name(self, kong):
        kong.sandbox.settings.tokens = {"sandbox-admin-key": {"user": "reader", "actions": ["read"]}}
        with pytest.raises(Forbidden, match="reader, you do not have permissions to update"):
            write(kong)
        assert kong.raw() == OLD

    def test_hundreds_of_targets_are_read_page_by_page(self, kong):
        for number in range(1200):
            kong.space.add_target(kong.upstream, {"target": f"more-{number}", "weight": 0})
        assert len(kong.provider.read(kong.route).targets) == 1202

    def test_pages_that_lead_in_a_circle_end(self, kong):
        body = '{"data": [], "next": "/upstreams/x/targets?offset=again"}'
        fault(kong, "status:200", on="reading", body=body, headers=JSON, times=9)
        with pytest.raises(Unreachable):
            kong.provider.read(kong.route)

    @pytest.mark.parametrize("health", ["UNHEALTHY", "DNS_ERROR"])
    def test_a_target_that_does_not_live_gets_no_more_unless_somebody_says_why(self, kong, health):
        kong.sandbox.settings.health[HOST.format(side="canary")] = health
        with pytest.raises(NotEditable, match="would fail"):
            write(kong)
        assert write(kong, replace(ALL, reason="it starts with the first request")).outcome is Outcome.APPLIED

    def test_a_healthy_target_needs_no_word(self, kong):
        kong.sandbox.settings.health[HOST.format(side="canary")] = "HEALTHY"
        assert not any("whether" in str(one) for one in kong.provider.preview(kong.route, ALL).warnings)

    @pytest.mark.parametrize("tagged", ["upstream", "target"])
    def test_what_the_ingress_controller_writes_is_left_to_it(self, kong, tagged):
        row = kong.upstream if tagged == "upstream" else kong.target("canary")
        kong_store.change(row, {"tags": ["managed-by-ingress-controller"]}, ("tags",))
        assert kong.provider.read(kong.route).owner.drives
        with pytest.raises(NotEditable, match="Shift the HTTPRoute"):
            write(kong)
        assert kong.writes() == 0

    @pytest.mark.parametrize("change", [{"hash_on": "header"}, {"algorithm": "least-connections"}])
    def test_an_upstream_that_takes_no_turns_is_written_with_a_warning(self, kong, change):
        kong_store.change(kong.upstream, change, kong_store.UPSTREAM_FIELDS)
        assert any("does not take turns" in str(one) for one in kong.provider.read(kong.route).warnings)
        assert write(kong).outcome is Outcome.APPLIED

    def test_the_heaviest_weights_are_moved_without_passing_the_limit(self, kong):
        kong.stand(65535, 65535)
        assert write(kong).outcome is Outcome.APPLIED
        assert kong.raw()["stable"] == 0

    @pytest.mark.parametrize(("old", "asked"), [((90, 10), (10, 90)), ((10, 90), (90, 10)), ((100, 0), (0, 100))])
    def test_between_the_two_requests_there_is_more_weight_and_never_none(self, kong, old, asked):
        kong.stand(*old)
        sums = []
        kong.sandbox.rival = lambda _call: sums.append(sum(kong.raw().values()))
        write(kong, Split(dict(zip(("stable", "canary"), asked, strict=True))))
        assert len(sums) == 2
        assert min(sums) == 100
        assert max(sums) > 100


class TestHalfOfAChange:
    """Kong takes one target per request: what if only one is taken?"""

    def test_a_target_deleted_before_the_second_request_has_the_first_put_back(self, kong):
        def rival(call):
            if call.json() == {"weight": 0}:
                del kong.space.targets[kong.target("stable")["id"]]

        kong.sandbox.rival = rival
        with pytest.raises(NotEditable, match="single destination"):
            write(kong)
        assert kong.target("canary")["weight"] == 10

    def test_a_target_deleted_and_a_first_request_that_stays_is_told_as_unknown_with_both_reasons(self, kong):
        def rival(call):
            if call.json() == {"weight": 0}:
                del kong.space.targets[kong.target("stable")["id"]]
                kong.sandbox.faults.append(Fault("status:403", **kong.writing, body="{}"))

        kong.sandbox.rival = rival
        with pytest.raises(Unreachable, match=r"canary got the new weight.*single destination") as raised:
            write(kong)
        assert outcome_of(raised.value) is Outcome.UNKNOWN
        assert kong.target("canary")["weight"] == 100

    @pytest.mark.parametrize("status", [400, 403, 409])
    def test_a_second_request_that_is_refused_has_the_first_put_back(self, kong, status):
        fault(kong, f"status:{status}", skip=1, body='{"message": "no"}', headers=JSON)
        with pytest.raises(Rejected, match="no"):
            write(kong)
        assert kong.raw() == OLD
        assert kong.writes() == 3

    def test_a_second_request_that_is_refused_and_a_first_that_stays_is_told_by_name(self, kong):
        fault(kong, "status:403", skip=1, times=9, body='{"message": "no"}', headers=JSON)
        with pytest.raises(Unreachable, match=r"Only part of the change stands: canary got the new weight") as raised:
            write(kong)
        assert outcome_of(raised.value) is Outcome.UNKNOWN
        assert kong.raw() == {"stable": 90, "canary": 100}

    @pytest.mark.parametrize("do", ["close_before", "500", "html", "status:504"])
    def test_a_second_request_without_an_answer_is_told_and_the_next_try_finishes(self, kong, do):
        seen = kong.provider.read(kong.route).version
        fault(kong, do, skip=1)
        with pytest.raises(Unreachable, match="canary got the new weight") as raised:
            kong.provider.write(kong.route, ALL, seen=seen)
        assert outcome_of(raised.value) is Outcome.UNKNOWN
        assert kong.provider.write(kong.route, ALL, seen=seen).outcome is Outcome.APPLIED
        assert kong.raw() == NEW

    def test_a_second_request_whose_answer_is_lost_is_found_applied(self, kong):
        fault(kong, "close_after", skip=1)
        assert write(kong).outcome is Outcome.APPLIED
        assert kong.raw() == NEW

    @pytest.mark.parametrize("side", ["stable", "canary"])
    def test_fifty_of_fifty_edits_between_the_two_requests_are_noticed_and_stand(self, kong, side):
        for turn in range(50):
            kong.sandbox.rival = lambda _call: None
            kong.stand(90, 10)
            theirs = 20 + turn

            def rival(_call, theirs=theirs):
                kong.sandbox.rival = lambda _call: None
                before(kong.sandbox, "/targets$", lambda: kong.set(side, theirs))

            kong.sandbox.rival = rival
            with pytest.raises(Conflict) as raised:
                write(kong)
            assert raised.value.difference.found == {**OLD, side: theirs}
            assert kong.raw() == {**OLD, side: theirs}

    def test_what_is_set_on_the_very_target_in_the_last_instant_is_overwritten_as_the_preview_warns(self, kong):
        assert any("knows no versions" in str(one) for one in kong.provider.preview(kong.route, ALL).warnings)

        def rival(_call):
            kong.sandbox.rival = lambda _call: None
            kong.set("canary", 55)

        kong.sandbox.rival = rival
        assert write(kong).outcome is Outcome.APPLIED
        assert kong.raw() == NEW


class TestApisix:
    """What only APISIX does."""

    @pytest.mark.parametrize(("key", "why"), [("guessed", "wrong apikey"), ("", "missing apikey")])
    def test_a_wrong_key_is_told_in_its_words(self, apisix, key, why):
        client = ApisixClient(keyed_door(apisix.provider.plane.client.door.origin, "X-API-KEY", key))
        with pytest.raises(Unknown, match=why):
            Guarded(Apisix(client)).read(apisix.route)

    def test_a_key_that_may_only_read_is_told_what_is_missing(self, apisix):
        client = ApisixClient(keyed_door(apisix.provider.plane.client.door.origin, "X-API-KEY", VIEWER_KEY))
        apisix.provider = Guarded(Apisix(client))
        assert apisix.provider.read(apisix.route).weights == OLD
        with pytest.raises(Forbidden, match="role is viewer"):
            write(apisix)
        assert not client.may_write()
        assert apisix.raw() == OLD

    def test_an_address_that_may_not_come_is_told_where_to_add_it(self, apisix):
        apisix.sandbox.settings.closed = True
        with pytest.raises(Forbidden, match="allow_admin"):
            apisix.provider.read(apisix.route)

    def test_a_version_conflict_inside_apisix_is_tried_again(self, apisix):
        def racer():
            apisix.sandbox.racer = lambda: None
            apisix.touch()

        apisix.sandbox.racer = racer
        assert write(apisix).outcome is Outcome.APPLIED
        assert apisix.writes() == 2

    def test_version_conflicts_for_ever_overwrite_nothing_and_ask_for_a_person(self, apisix):
        apisix.sandbox.racer = apisix.touch
        with pytest.raises(Contended):
            write(apisix)
        assert apisix.raw() == OLD
        assert apisix.writes() == 4

    def test_another_503_is_no_conflict(self, apisix):
        fault(apisix, "status:503", body='{"error_msg": "has no healthy etcd endpoint available"}', headers=JSON)
        with pytest.raises(NotApplied, match="no healthy etcd"):
            write(apisix)

    def test_what_somebody_else_adds_in_the_last_instant_stays_and_is_noticed(self, apisix):
        def rival(_call):
            apisix.sandbox.rival = lambda _call: None
            apisix.restructure()

        apisix.sandbox.rival = rival
        with pytest.raises(Conflict) as raised:
            write(apisix)
        assert raised.value.difference.restructured
        assert apisix.stored["upstream_id"] == "checkout-old"

    def test_standalone_is_read_and_never_written_and_the_way_out_is_told(self, apisix):
        apisix.sandbox.settings.standalone = True
        assert apisix.provider.read(apisix.route).weights == OLD
        with pytest.raises(NotEditable, match="runs standalone"):
            write(apisix)
        viewer = ApisixClient(keyed_door(apisix.provider.plane.client.door.origin, "X-API-KEY", VIEWER_KEY))
        assert viewer.is_standalone()
        with pytest.raises(NotEditable, match="There is no routes/other"):
            apisix.provider.read(replace(apisix.route, name="other"))
        assert apisix.writes() == 0

    def test_answers_from_before_v3_are_told_with_the_setting(self, apisix):
        apisix.sandbox.settings.legacy = True
        with pytest.raises(Rejected, match="admin_api_version"):
            apisix.provider.read(apisix.route)

    def test_a_kind_that_holds_no_weights_is_refused(self, apisix):
        with pytest.raises(NotEditable, match="no weights in consumers"):
            apisix.provider.read(replace(apisix.route, kind="consumers"))

    @pytest.mark.parametrize(
        ("kind", "key", "why"),
        [("routes", "cart", "holds no weights"), ("upstreams", "checkout-stable", "single destination")],
    )
    def test_an_object_without_a_split_says_so(self, apisix, kind, key, why):
        with pytest.raises(NotEditable, match=why):
            apisix.provider.read(RouteRef("", key, "checkout-stable:8080", "x", kind=kind))

    def test_a_missing_upstream_fails_the_whole_route_and_is_refused(self, apisix):
        apisix.sandbox.store.remove("upstreams", "checkout-canary")
        with pytest.raises(NotEditable, match="answers 500"):
            write(apisix)
        away = write(apisix, Split({"stable": 95, "canary": 5}))
        assert away.outcome is Outcome.APPLIED

    def test_an_upstream_without_nodes_gets_no_more_unless_somebody_says_why(self, apisix):
        apisix.edit(lambda value: value.update(nodes={}), "upstreams", "checkout-canary")
        with pytest.raises(NotEditable, match="no node with a weight"):
            write(apisix)
        assert write(apisix, replace(ALL, reason="filled by discovery")).outcome is Outcome.APPLIED

    def test_the_same_upstream_twice_is_refused_because_apisix_counts_it_once(self, apisix):
        def twice(value):
            value["plugins"]["traffic-split"]["rules"][1]["weighted_upstreams"].append(
                {"upstream_id": "checkout-canary", "weight": 1}
            )

        apisix.edit(twice)
        with pytest.raises(NotEditable, match="2 destinations match"):
            apisix.provider.read(apisix.route)

    def test_rules_that_cannot_be_told_apart_are_refused_and_found_by_place_and_shape(self, apisix):
        def split(value):
            rules = value["plugins"]["traffic-split"]["rules"]
            rules.append(dict(rules[1]))

        apisix.edit(split)
        with pytest.raises(NotEditable, match="3 rules"):
            apisix.provider.read(apisix.route)
        with pytest.raises(NotEditable, match="moved or changed"):
            apisix.provider.read(replace(apisix.route, index=1, shape="sha256:other"))

    def test_a_plugin_that_is_switched_off_is_not_shifted_as_if_it_were_on(self, apisix):
        apisix.edit(lambda value: value["plugins"]["traffic-split"].update(_meta={"disable": True}))
        with pytest.raises(NotEditable, match="switched off"):
            write(apisix)

    @pytest.mark.parametrize("label", ["apisix-ingress-controller", "api7-ingress-controller"])
    def test_what_an_ingress_controller_writes_is_left_to_it(self, apisix, label):
        apisix.edit(lambda value: value.update(labels={"managed-by": label}))
        with pytest.raises(NotEditable, match="ApisixRoute"):
            write(apisix)
        assert apisix.writes() == 0

    def test_nodes_with_priorities_are_no_split(self, apisix):
        nodes = [
            {"host": "a", "port": 1, "weight": 1, "priority": 0},
            {"host": "b", "port": 1, "weight": 1, "priority": -1},
        ]
        apisix.sandbox.store.put("upstreams", "both", {"type": "roundrobin", "nodes": nodes})
        with pytest.raises(NotEditable, match="priorities"):
            apisix.provider.read(RouteRef("", "both", "a:1", "b:1", kind="upstreams"))

    @pytest.mark.parametrize("kind", ["services", "plugin_configs"])
    def test_whoever_uses_a_shared_object_is_named_before_it_is_shifted(self, apisix, kind):
        shared = {key: value for key, value in apisix.stored.items() if key in ("plugins", "upstream_id")}
        store, field = apisix.sandbox.store, {"services": "service_id", "plugin_configs": "plugin_config_id"}[kind]
        store.put(kind, "shared", shared if kind == "services" else {"plugins": shared["plugins"]})
        for number in range(130):
            store.put("routes", f"r{number}", {"uri": f"/{number}", field: "shared", "upstream_id": "checkout-stable"})
        route = replace(APISIX_ROUTE, name="shared", kind=kind)
        preview = apisix.provider.preview(route, ALL)
        assert len(preview.referrers) == 130
        assert "routes/r7" in preview.referrers

    def test_a_shared_upstream_names_routes_that_lead_there_through_the_plugin(self, apisix):
        nodes = {"old:1": 90, "new:1": 10}
        apisix.sandbox.store.put("upstreams", "checkout-canary", {"type": "chash", "nodes": nodes})
        route = RouteRef("", "checkout-canary", "old:1", "new:1", kind="upstreams")
        preview = apisix.provider.preview(route, ALL)
        assert preview.referrers == ("routes/checkout",)
        assert any("does not take turns" in str(one) for one in preview.before.warnings)


def test_what_is_not_there_is_absent_and_not_forbidden(stage):
    stage.remove()
    with pytest.raises(NotEditable) as raised:
        stage.provider.read(stage.route)
    assert isinstance(raised.value.__cause__, Absent)
    assert raised.value.http_status == 404
