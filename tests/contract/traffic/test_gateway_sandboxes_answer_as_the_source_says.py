"""The stand-ins of Kong and APISIX are believed only as far as they answer as those products' source says."""

import json

import pytest

from gmud.sandbox.apisix import ADMIN_KEY, VIEWER_KEY, Apisix
from gmud.sandbox.kong import Kong
from gmud.sandbox.server import running
from tests.contract.sandbox.test_a_restart_keeps_what_was_done import process
from tests.factories.delivery import ask, control

TARGETS = "/upstreams/frontend-production/targets"
CANARY = f"{TARGETS}/frontend-canary.bank-production.svc%3A8080"
ROUTE = "/apisix/admin/routes/frontend-production"
TOKENS = {
    "all": {"user": "gmud", "actions": ["create", "delete", "read", "update"]},
    "some": {"user": "eve", "actions": ["read"]},
}


@pytest.fixture
def kong():
    sandbox = Kong()
    with running(sandbox) as url:
        sandbox.url = url
        yield sandbox


@pytest.fixture
def apisix():
    sandbox = Apisix()
    with running(sandbox) as url:
        sandbox.url = url
        yield sandbox


def send(sandbox, method, path, body=None, headers=None):
    """Return status and JSON of one answer."""
    known = {"X-API-KEY": ADMIN_KEY} if headers is None else headers
    content = json.dumps(body) if body is not None else None
    answer = ask(sandbox.url, method, path, body=content, headers=known)
    return answer.status, json.loads(answer.text) if answer.text.strip().startswith(("{", "[")) else answer.text


class TestKong:
    def test_it_names_its_version_and_its_database(self, kong):
        status, body = send(kong, "GET", "/")
        assert (status, body["version"], body["configuration"]["database"]) == (200, "3.9.1", "postgres")
        assert ask(kong.url, "GET", "/").headers["Server"] == "kong/3.9.1"

    def test_a_target_is_found_by_name_with_and_without_its_port_and_by_id(self, kong):
        _, added = send(kong, "POST", TARGETS, {"target": "plain.example"})
        assert (added["target"], added["weight"]) == ("plain.example:8000", 100)
        for key in ("plain.example", "plain.example%3A8000", added["id"]):
            assert send(kong, "GET", f"{TARGETS}/{key}")[1]["id"] == added["id"]
        assert send(kong, "GET", f"{TARGETS}/other")[0] == 404

    def test_a_patch_answers_the_target_and_only_moves_its_stamp(self, kong):
        _, before = send(kong, "GET", CANARY)
        status, after = send(kong, "PATCH", CANARY, {"weight": 10})
        assert (status, after["weight"]) == (200, 10)
        assert after["updated_at"] > before["updated_at"]
        assert {**after, "weight": 0, "updated_at": before["updated_at"]} == before

    def test_a_put_changes_and_never_makes(self, kong):
        assert send(kong, "PUT", CANARY, {"weight": 5})[1]["weight"] == 5
        assert send(kong, "PUT", f"{TARGETS}/new%3A80", {"weight": 5}) == (404, {"message": "Not found"})

    def test_null_puts_the_default_back(self, kong):
        assert send(kong, "PATCH", CANARY, {"weight": None})[1]["weight"] == 100

    @pytest.mark.parametrize(
        ("weight", "why"),
        [
            (-1, "value should be between 0 and 65535"),
            (65536, "value should be between 0 and 65535"),
            ("7", "expected an integer"),
        ],
    )
    def test_a_weight_out_of_bounds_is_a_schema_violation(self, kong, weight, why):
        status, body = send(kong, "PATCH", CANARY, {"weight": weight})
        assert (status, body["code"], body["fields"]) == (400, 2, {"weight": why})

    def test_upstreams_and_services_are_made_once_and_by_name(self, kong):
        assert send(kong, "POST", "/upstreams", {"name": "cart"})[0] == 201
        assert send(kong, "POST", "/upstreams", {"name": "cart"})[0] == 409
        assert send(kong, "POST", "/upstreams", {})[1]["fields"] == {"name": "required field missing"}
        assert send(kong, "POST", "/upstreams", {"name": "x", "colour": 1})[1]["fields"] == {"colour": "unknown field"}
        assert send(kong, "POST", "/services", {"name": "cart", "host": "cart"})[0] == 201
        assert "cart" in {one["host"] for one in send(kong, "GET", "/services")[1]["data"]}

    def test_the_same_target_twice_is_a_conflict(self, kong):
        status, body = send(kong, "POST", TARGETS, {"target": "frontend-canary.bank-production.svc:8080"})
        assert (status, body["code"]) == (409, 5)

    def test_pages_lead_to_each_other_and_the_newest_comes_first(self, kong):
        for number in range(4):
            send(kong, "POST", TARGETS, {"target": f"more-{number}"})
        seen, path = [], f"{TARGETS}?size=2"
        while path:
            _, page = send(kong, "GET", path)
            seen += [one["created_at"] for one in page["data"]]
            path = page["next"] and f"{page['next']}&size=2"
        assert len(seen) == 6
        assert seen == sorted(seen, reverse=True)
        assert send(kong, "GET", f"{TARGETS}?offset=%21")[1]["code"] == 7

    def test_health_is_told_by_target(self, kong):
        kong.settings.health["frontend-canary.bank-production.svc:8080"] = "UNHEALTHY"
        _, body = send(kong, "GET", "/upstreams/frontend-production/health")
        assert {one["target"].split(".")[0]: one["health"] for one in body["data"]} == {
            "frontend-stable": "HEALTHCHECKS_OFF",
            "frontend-canary": "UNHEALTHY",
        }

    def test_without_a_database_it_reads_and_refuses_to_write(self, kong):
        kong.settings.database = "off"
        status, body = send(kong, "PATCH", CANARY, {"weight": 10})
        assert (status, body["code"], body["name"]) == (405, 12, "operation unsupported")
        assert body["message"] == "cannot update 'targets' entities when not using a database"
        assert send(kong, "GET", CANARY)[1]["weight"] == 0

    def test_without_a_database_the_whole_file_is_read_and_replaced(self, kong):
        told = (400, {"message": "this endpoint is only available when Kong is configured to not use a database"})
        assert send(kong, "GET", "/config") == send(kong, "POST", "/config", {"config": ""}) == told
        kong.settings.database = "off"
        text = send(kong, "GET", "/config")[1]["config"]
        assert send(kong, "POST", "/config?check_hash=1", {"config": text}) == (304, "")
        flipped = text.replace("weight: 100", "weight: 7")
        assert send(kong, "POST", "/config?check_hash=1", {"config": flipped})[0] == 201
        assert send(kong, "GET", CANARY)[1]["weight"] == 0
        assert 7 in kong.state()["default"]["frontend-production"].values()
        assert send(kong, "POST", "/config", {"config": "_format_version: '3.0'"})[0] == 201
        assert kong.state() == {"default": {}}, "what is not in the file is gone"
        status, body = send(kong, "POST", "/config", {"config": flipped.replace("weight: 7", "weight: 70000")})
        assert (status, body["code"], body["name"]) == (400, 14, "invalid declarative configuration")
        kong.settings.loading = True
        answer = ask(kong.url, "POST", "/config", body=json.dumps({"config": text}))
        assert (answer.status, answer.headers["Retry-After"]) == (429, "1")

    def test_a_service_is_led_elsewhere_in_one_request(self, kong):
        path = f"/services/{send(kong, 'GET', '/services')[1]['data'][0]['name']}"
        assert send(kong, "PATCH", path, {"host": "green"})[1]["host"] == "green"
        assert send(kong, "GET", path)[1]["host"] == "green"
        assert send(kong, "PATCH", "/services/none", {"host": "green"}) == (404, {"message": "Not found"})

    def test_a_canary_is_listed_and_its_percentage_has_bounds(self, kong):
        space = kong.workspaces["default"]
        plugin = space.add_canary(space.service("frontend-production"), percentage=10, hash="none")
        assert send(kong, "GET", "/plugins")[1]["data"] == [plugin]
        path = f"/plugins/{plugin['id']}"
        status, body = send(kong, "PATCH", path, {"config": {"percentage": 2.5}})
        assert (status, body["config"]["percentage"], body["config"]["hash"]) == (200, 2.5, "none")
        assert send(kong, "PATCH", path, {"config": {"percentage": 101}})[0] == 400
        assert send(kong, "GET", "/plugins/other")[0] == 404

    def test_the_balancers_view_has_the_weights_that_count(self, kong):
        kong.settings.health["frontend-canary.bank-production.svc:8080"] = "UNHEALTHY"
        send(kong, "PATCH", CANARY, {"weight": 10})
        _, body = send(kong, "GET", "/upstreams/frontend-production/health?balancer_health=1")
        assert body["data"]["health"] == "HEALTHY"
        assert body["data"]["details"]["weight"] == {"total": 110, "available": 100, "unavailable": 10}

    def test_a_token_is_demanded_and_its_rights_count(self, kong):
        kong.settings.tokens = TOKENS
        assert send(kong, "GET", TARGETS, headers={}) == (401, {"message": "Unauthorized"})
        assert send(kong, "GET", TARGETS, headers={"Kong-Admin-Token": "some"})[0] == 200
        status, body = send(kong, "PATCH", CANARY, {"weight": 1}, {"Kong-Admin-Token": "some"})
        assert (status, body["message"]) == (403, "eve, you do not have permissions to update this resource")

    def test_a_workspace_is_a_prefix_and_only_enterprise_has_them(self, kong):
        kong.workspaces["bank"] = kong.workspaces["default"]
        assert send(kong, "GET", f"/bank{CANARY}")[0] == 404
        kong.settings.tokens = TOKENS
        assert send(kong, "GET", f"/bank{CANARY}", headers={"Kong-Admin-Token": "all"})[0] == 200
        assert send(kong, "GET", f"/other{CANARY}", headers={"Kong-Admin-Token": "all"})[0] == 404

    def test_behind_a_check_of_certificates_nginx_answers_who_shows_none(self, kong):
        kong.settings.client_header = "X-Client-Verify"
        status, body = send(kong, "GET", "/")
        assert (status, "No required SSL certificate" in body) == (400, True)
        assert send(kong, "GET", "/", headers={"X-Client-Verify": "SUCCESS"})[0] == 200

    def test_konnect_has_its_own_path_and_knows_no_node(self, kong):
        kong.settings.control_plane = "cp-1"
        bearer = {"Authorization": "Bearer x"}
        root = "/v2/control-planes/cp-1/core-entities"
        assert send(kong, "GET", root + TARGETS, headers={})[0] == 401
        assert send(kong, "GET", root + TARGETS, headers=bearer)[0] == 200
        assert send(kong, "GET", root + "/", headers=bearer)[0] == 404
        assert send(kong, "GET", TARGETS, headers=bearer)[0] == 404

    def test_before_2_2_a_target_cannot_be_patched(self, kong):
        kong.settings.version = "2.1.4"
        assert send(kong, "PATCH", CANARY, {"weight": 1})[0] == 405

    def test_a_deleted_target_is_gone(self, kong):
        assert send(kong, "DELETE", CANARY)[0] == 204
        assert send(kong, "PATCH", CANARY, {"weight": 1}) == (404, {"message": "Not found"})


class TestApisix:
    def test_an_object_carries_the_revisions_of_the_whole_store_that_made_and_changed_it(self, apisix):
        _, before = send(apisix, "GET", ROUTE)
        apisix.store.touch()
        newest = apisix.store.revision
        status, after = send(apisix, "PATCH", ROUTE, {"desc": "x"})
        assert status == 200
        assert "modifiedIndex" not in after
        _, then = send(apisix, "GET", ROUTE)
        assert (then["createdIndex"], then["modifiedIndex"]) == (before["createdIndex"], newest + 1)
        assert ask(apisix.url, "GET", ROUTE, headers={"X-API-KEY": ADMIN_KEY}).headers["X-API-VERSION"] == "v3"

    @pytest.mark.parametrize(
        ("method", "headers", "why"),
        [
            ("GET", {}, "missing apikey"),
            ("GET", {"X-API-KEY": "guessed"}, "wrong apikey"),
            ("PATCH", {"X-API-KEY": VIEWER_KEY}, "invalid method for role viewer"),
        ],
    )
    def test_a_key_is_demanded_and_its_role_counts(self, apisix, method, headers, why):
        refused = {"error_msg": "failed to check token", "description": why}
        assert send(apisix, method, ROUTE, {}, headers) == (401, refused)
        assert send(apisix, "GET", ROUTE, headers={"X-API-KEY": VIEWER_KEY})[0] == 200

    def test_a_patch_merges_maps_replaces_lists_and_null_takes_away(self, apisix):
        send(apisix, "PATCH", ROUTE, {"labels": {"a": "1", "b": "2"}, "hosts": ["one.example", "two.example"]})
        send(apisix, "PATCH", ROUTE, {"labels": {"a": None, "c": "3"}, "hosts": ["three.example"]})
        _, body = send(apisix, "GET", ROUTE)
        assert body["value"]["labels"] == {"b": "2", "c": "3"}
        assert body["value"]["hosts"] == ["three.example"]

    def test_a_patch_below_an_object_replaces_what_is_there(self, apisix):
        rules = [{"weighted_upstreams": [{"weight": 3}]}]
        status, body = send(apisix, "PATCH", f"{ROUTE}/plugins/traffic-split/rules", rules)
        assert (status, body["value"]["plugins"]["traffic-split"]["rules"]) == (200, rules)
        assert body["value"]["uri"] == "/*"

    def test_nodes_given_as_a_map_are_merged_by_node(self, apisix):
        path = "/apisix/admin/upstreams/frontend-production-stable"
        _, body = send(apisix, "PATCH", path, {"nodes": {"second:80": 4}})
        assert body["value"]["nodes"] == {"frontend-stable.bank-production.svc:8080": 1, "second:80": 4}

    def test_somebody_faster_makes_the_server_refuse(self, apisix):
        apisix.racer = lambda: apisix.store.put("routes", "frontend-production", {"uri": "/raced"})
        refused = {"error_msg": "value changed before overwritten"}
        assert send(apisix, "PATCH", ROUTE, {"desc": "x"}) == (503, refused)

    def test_a_put_with_a_time_is_refused_so_that_nothing_stored_can_be_put_back_whole(self, apisix):
        _, body = send(apisix, "GET", ROUTE)
        status, refused = send(apisix, "PUT", ROUTE, body["value"])
        assert (status, "forbidden" in refused["error_msg"]) == (400, True)

    @pytest.mark.parametrize("weight", [-1, "3", 1.5, True])
    def test_a_weight_that_is_no_natural_number_is_refused(self, apisix, weight):
        rules = [{"weighted_upstreams": [{"weight": weight}]}]
        assert send(apisix, "PATCH", ROUTE, {"plugins": {"traffic-split": {"rules": rules}}})[0] == 400
        assert send(apisix, "POST", "/apisix/admin/schema/validate/routes", {"upstream": {"nodes": {"a:1": weight}}})[0]

    def test_lists_come_in_pages(self, apisix):
        for number in range(12):
            send(apisix, "PUT", f"/apisix/admin/routes/{number}", {"uri": f"/{number}"})
        _, body = send(apisix, "GET", "/apisix/admin/routes?page=2&page_size=10")
        assert (len(body["list"]), body["total"]) == (4, 14)
        assert send(apisix, "GET", "/apisix/admin/routes?page=1&page_size=9")[0] == 400

    def test_what_is_not_there_is_told_in_two_ways(self, apisix):
        assert send(apisix, "GET", "/apisix/admin/routes/none") == (404, {"message": "Key not found"})
        assert "error_msg" in send(apisix, "GET", "/apisix/admin/things/1")[1]

    def test_standalone_has_one_document_and_nothing_else(self, apisix):
        apisix.settings.standalone = True
        assert send(apisix, "GET", ROUTE) == (404, {"error_msg": "404 Route Not Found"})
        answer = ask(apisix.url, "GET", "/apisix/admin/configs", headers={"X-API-KEY": ADMIN_KEY})
        assert answer.headers["X-Digest"]
        assert json.loads(answer.text)["routes"]

    def test_standalone_takes_a_whole_document_with_a_digest_and_versions_that_never_fall(self, apisix):
        apisix.settings.standalone = True
        path, key = "/apisix/admin/configs", {"X-API-KEY": ADMIN_KEY}
        route = {"id": "1", "uri": "/*", "upstream": {"nodes": {"a:80": 1}}}
        first = {"routes": [route], "routes_conf_version": 3}

        def put(body, digest, method="PUT", where=path):
            return send(apisix, method, where, body, {**key, **({"X-Digest": digest} if digest else {})})

        assert put(first, "") == (400, {"error_msg": "missing digest header"})
        assert put(first, "", "POST", f"{path}/validate")[0] == 200
        assert apisix.digest == "", "checking changes nothing"
        assert put(first, "one") == (202, "")
        assert put({"routes": []}, "one") == (204, ""), "the same digest is not even looked at"
        assert put({**first, "routes_conf_version": 2}, "two") == (
            400,
            {"error_msg": "routes_conf_version must be greater than or equal to (3)"},
        )
        assert "must be a number" in put({**first, "routes_conf_version": "4"}, "two")[1]["error_msg"]
        wrong = {"routes": [{**route, "upstream": {"nodes": {"a:80": -1}}}], "routes_conf_version": 4}
        assert put(wrong, "two")[1]["error_msg"].startswith("invalid routes at index 0, err: ")
        assert "duplicate id 1" in put({"routes": [route, route], "routes_conf_version": 4}, "two")[1]["error_msg"]
        assert put({"routes": [], "routes_conf_version": 3}, "two")[0] == 202
        answer = ask(apisix.url, "GET", path, headers=key)
        assert answer.headers["X-Digest"] == "two"
        body = json.loads(answer.text)
        assert ([one["id"] for one in body["routes"]], body["routes_conf_version"]) == (["1"], 3), "an equal version"

    def test_an_address_that_may_not_come_meets_nginx(self, apisix):
        apisix.settings.closed = True
        status, body = send(apisix, "GET", ROUTE)
        assert (status, "403 Forbidden" in body) == (403, True)

    def test_before_v3_an_object_is_wrapped_in_a_node(self, apisix):
        apisix.settings.legacy = True
        assert send(apisix, "GET", ROUTE)[1]["node"]["value"]["name"] == "frontend-production"


@pytest.mark.parametrize(
    ("name", "path", "headers", "change"),
    [("kong", CANARY, {}, {"weight": 10}), ("apisix", ROUTE, {"X-API-KEY": ADMIN_KEY}, {"uri": "/changed"})],
)
def test_what_was_written_outlives_the_process_and_a_reset_forgets_it(tmp_path, name, path, headers, change):
    state = ("--state", tmp_path / "state.json")
    with process(name, *state) as url:
        written = json.loads(ask(url, "PATCH", path, body=json.dumps(change), headers=headers).text)
    with process(name, *state) as url:
        kept = json.loads(ask(url, "GET", path, headers=headers).text)
        control(url, "reset", {})
        anew = json.loads(ask(url, "GET", path, headers=headers).text)
    assert kept.items() >= written.items()
    assert kept.get("value", kept).items() >= change.items()
    assert not anew.get("value", anew).items() >= change.items()


def test_settings_can_be_told_by_hand(kong, apisix):
    control(kong.url, "settings", {"database": "off"})
    control(apisix.url, "settings", {"standalone": True})
    assert send(kong, "GET", "/")[1]["configuration"]["database"] == "off"
    assert send(apisix, "GET", ROUTE)[0] == 404
