"""The Jenkins sandbox is believed only as far as it answers as the derived shapes and recorded answers do."""

import json
import time

import pytest

from gmud.sandbox.jenkins import Jenkins
from gmud.sandbox.jenkins_controller import job_from
from gmud.sandbox.server import running
from tests.factories.delivery import RECORDINGS, ask, basic, control

SHAPES = {one["name"]: one for one in json.loads((RECORDINGS / "shapes.json").read_text())["exchanges"]}
CLIENTS = json.loads((RECORDINGS / "client-requests.json").read_text())
JOB = "team/deploy"
TOKEN = {"Authorization": basic()}
FORM = {**TOKEN, "Content-Type": "application/x-www-form-urlencoded"}
ASKED = "VERSION=1.2.3&GMUD_CORRELATION=gmud-42-a1"
NAMES = [{"name": "VERSION"}, {"name": "GMUD_CORRELATION"}]
PLAIN = {"name": JOB, "parameters": NAMES, "stages": [["Build", 0.01]], "quiet_seconds": 0}
# A freestyle job in the shapes, a pipeline here: what differs between the two.
KIND_ONLY = {"changeSets", "culprits", "nextBuild", "previousBuild"}
OR_CANCEL = "or have Job/Cancel permissions"
TRIGGER = f"/job/team/job/deploy/buildWithParameters?{ASKED}"


@pytest.fixture
def url():
    sandbox = Jenkins(jobs={JOB: job_from(PLAIN), "team/app": job_from({**PLAIN, "name": "team/app"})})
    with running(sandbox) as address:
        yield address


def shape_of(value):
    """Return the names and kinds of a JSON value, without its values."""
    if isinstance(value, dict):
        return {name: shape_of(one) for name, one in value.items() if name not in KIND_ONLY}
    if isinstance(value, list):
        return [shape_of(one) for one in value]
    return type(value).__name__


def without_class(value):
    """Return the value without the class names, which differ between freestyle and pipeline."""
    if isinstance(value, dict):
        return {name: without_class(one) for name, one in value.items() if name != "_class"}
    return [without_class(one) for one in value] if isinstance(value, list) else value


def same_shape(name, answer):
    """Compare an answer of the sandbox with the shape of that name."""
    wanted = SHAPES[name]["response"]["json"]
    given = json.loads(answer.text)
    assert shape_of(given) == shape_of(wanted)
    assert without_class(given["actions"]) == without_class(wanted["actions"])


def settle(url, path, seen):
    """Ask until the answer is so."""
    deadline = time.monotonic() + 10
    while not seen(answer := ask(url, "GET", path, headers=TOKEN)):
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.01)
    return answer


def settings(url, **job):
    control(url, "settings", {"jobs": {JOB: job}})


def test_it_gives_a_crumb_to_who_asks(url):
    answer = ask(url, "GET", "/crumbIssuer/api/json", headers=TOKEN)

    crumb = json.loads(answer.text)
    assert answer.headers["X-Jenkins"] == SHAPES["crumb"]["response"]["headers"]["X-Jenkins"]
    assert crumb.keys() == SHAPES["crumb"]["response"]["json"].keys()
    assert len(crumb["crumb"]) == 64
    assert answer.headers["Set-Cookie"].startswith("JSESSIONID.")


def test_a_password_needs_a_crumb_and_the_session_it_belongs_to(url):
    password = {"Authorization": basic("operator")}
    refused = ask(url, "POST", TRIGGER, headers=password)
    issued = ask(url, "GET", "/crumbIssuer/api/json", headers=password)
    crumb = {"Jenkins-Crumb": json.loads(issued.text)["crumb"]}
    cookie = {"Cookie": issued.headers["Set-Cookie"].split(";")[0]}

    assert refused.status == SHAPES["post-without-crumb-using-password"]["response"]["status"]
    assert SHAPES["post-without-crumb-using-password"]["response"]["body_contains"] in refused.text
    assert ask(url, "POST", TRIGGER, headers={**password, **crumb}).status == 403
    assert ask(url, "POST", TRIGGER, headers={**password, **crumb, **cookie}).status == 201


@pytest.mark.parametrize(
    ("name", "method", "path", "authorization"),
    [
        ("bad-basic-credentials", "GET", "/api/json", "Basic d3Jvbmc="),
        ("bad-basic-credentials", "GET", "/api/json", basic("gmud", "wrong")),
        ("anonymous-needs-login", "GET", "/job/team/job/deploy/api/json", ""),
        ("missing-build-permission", "POST", TRIGGER, basic("reader")),
    ],
)
def test_it_refuses_strangers_as_jenkins_does(url, name, method, path, authorization):
    answer = ask(url, method, path, headers={"Authorization": authorization} if authorization else {})

    wanted = SHAPES[name]["response"]
    assert answer.status == wanted["status"]
    for header in wanted["headers"]:
        same = wanted["headers"][header].replace("gmud", "reader")  # the shape's user may build, ours here may not
        assert answer.headers[header] == same
    assert ("X-You-Are-Authenticated-As" in answer.headers) == ("X-You-Are-Authenticated-As" in wanted["headers"])


def test_a_trigger_makes_an_item_and_an_equal_one_is_folded_while_it_waits(url):
    settings(url, quiet_seconds=30)
    body = SHAPES["trigger-created"]["request"]["body"].replace("&delay=0sec", "")
    created = ask(url, "POST", "/job/team/job/deploy/buildWithParameters", headers=FORM, body=body)
    folded = ask(url, "POST", "/job/team/job/deploy/buildWithParameters", headers=FORM, body=body)
    plain = ask(
        url,
        "POST",
        f"/job/team/job/deploy/build?{TRIGGER.split('?')[1]}&json=" + "%7B%22parameter%22:[]%7D",
        headers=TOKEN,
    )
    other = ask(url, "POST", "/job/team/job/deploy/buildWithParameters", headers=FORM, body=body + "x")

    assert (created.status, created.headers["Content-Length"]) == (201, "0")
    assert created.headers["Location"].endswith("/queue/item/1/")
    assert (folded.status, folded.headers["Location"]) == (303, created.headers["Location"])
    assert (plain.status, plain.headers["Location"]) == (201, created.headers["Location"])
    assert other.headers["Location"].endswith("/queue/item/2/")


def test_undeclared_parameters_are_dropped_in_silence_and_so_two_requests_become_one(url):
    settings(url, quiet_seconds=30)
    for secret in ("a", "b"):
        ask(url, "POST", f"{TRIGGER}&SECRET={secret}", headers=TOKEN)

    queue = json.loads(ask(url, "GET", "/queue/api/json", headers=TOKEN).text)
    assert [one["params"] for one in queue["items"]] == ["\nVERSION=1.2.3\nGMUD_CORRELATION=gmud-42-a1"]


@pytest.mark.parametrize(
    ("name", "job", "method"),
    [
        ("trigger-vetoed", {"vetoed": True}, "POST"),
        ("job-disabled", {"disabled": True}, "POST"),
        ("not-parameterized", {"parameters": []}, "POST"),
        ("get-instead-of-post", {}, "GET"),
    ],
)
def test_it_refuses_a_trigger_as_jenkins_does(url, name, job, method):
    settings(url, **job)

    answer = ask(url, method, TRIGGER, headers=TOKEN)

    wanted = SHAPES[name]["response"]
    assert answer.status == wanted["status"]
    assert wanted.get("body_contains", "") in answer.text
    if name == "trigger-vetoed":
        assert answer.headers["Location"] == f"{url}/job/team/job/deploy/"
    if name == "get-instead-of-post":
        assert answer.headers["Allow"] == "POST"


@pytest.mark.parametrize(
    "query", ["VERSION=3", "VERSION=1&VERSION=2", "VERSION=1&delay=soon"], ids=["choice", "twice", "delay"]
)
def test_a_value_it_cannot_take_is_an_error_of_the_server(url, query):
    settings(url, parameters=[{"name": "VERSION", "kind": "choice", "choices": ["1", "2"]}])

    assert ask(url, "POST", f"/job/team/job/deploy/buildWithParameters?{query}", headers=TOKEN).status == 500


def test_a_waiting_item_has_the_derived_shape(url):
    settings(url, quiet_seconds=30)
    ask(url, "POST", TRIGGER, headers=TOKEN)

    same_shape("queue-waiting", ask(url, "GET", "/queue/item/1/api/json", headers=TOKEN))


def test_a_second_item_is_blocked_behind_the_first_build(url):
    settings(url, hold="Build")
    ask(url, "POST", TRIGGER, headers=TOKEN)
    settle(url, "/queue/item/1/api/json", lambda one: json.loads(one.text).get("executable"))
    ask(url, "POST", TRIGGER, headers=TOKEN)

    answer = settle(url, "/queue/item/2/api/json", lambda one: json.loads(one.text)["blocked"])

    same_shape("queue-blocked", answer)
    assert json.loads(answer.text)["why"].startswith("Build #1 is already in progress")


def test_an_item_without_an_executor_is_buildable_and_can_be_canceled_once(url):
    control(url, "settings", {"executors": 0})
    ask(url, "POST", TRIGGER, headers=TOKEN)
    answer = settle(url, "/queue/item/1/api/json", lambda one: json.loads(one.text)["buildable"])
    refused = ask(url, "POST", "/queue/cancelItem?id=1", headers={"Authorization": basic("reader")})
    first = ask(url, "POST", SHAPES["queue-cancel"]["request"]["path"].replace("41", "1"), headers=TOKEN)
    second = ask(url, "POST", "/queue/cancelItem?id=1", headers=TOKEN)

    same_shape("queue-buildable-stuck", answer)
    assert (refused.status, first.status, second.status) == (422, 204, 404)
    same_shape("queue-cancelled", ask(url, "GET", "/queue/item/1/api/json", headers=TOKEN))


def test_a_left_item_names_its_build_and_is_forgotten_later(url):
    ask(url, "POST", TRIGGER, headers=TOKEN)
    answer = settle(url, "/queue/item/1/api/json", lambda one: json.loads(one.text).get("executable"))
    same_shape("queue-left", answer)

    control(url, "settings", {"left_seconds": 0})

    wanted = SHAPES["queue-gone"]["response"]["status"]
    assert ask(url, "GET", "/queue/item/1/api/json", headers=TOKEN).status == wanted


def test_a_build_has_the_derived_shapes_while_it_runs_and_when_it_is_done(url):
    settings(url, hold="Build")
    ask(url, "POST", TRIGGER, headers=TOKEN)
    path = "/job/team/job/deploy/1/api/json"
    same_shape("build-running", settle(url, path, lambda one: one.status == 200))

    settings(url, hold="")

    done = settle(url, path, lambda one: json.loads(one.text)["inProgress"] is False)
    same_shape("build-done", done)
    assert json.loads(done.text)["result"] == "SUCCESS"


def test_a_pipeline_run_answers_with_the_fields_of_the_recorded_one(url):
    recorded = json.loads((RECORDINGS / "run" / "workflowrun.json").read_text())
    ask(url, "POST", TRIGGER, headers=TOKEN)

    done = settle(url, "/job/team/job/deploy/1/api/json", lambda one: one.status == 200)

    assert json.loads(done.text).keys() == recorded.keys() | {"inProgress"}  # exported since 2.369


@pytest.mark.parametrize(
    ("name", "recorded"), [("waiting", "waitingitem"), ("blocked", "blockeditem"), ("left", "leftitem")]
)
def test_the_derived_items_have_the_fields_of_the_recorded_ones(name, recorded):
    recorded = json.loads((RECORDINGS / "queue" / f"{recorded}.json").read_text())

    assert SHAPES[f"queue-{name}"]["response"]["json"].keys() == recorded.keys()


def test_stop_answers_with_a_redirect_and_the_build_is_aborted_later(url):
    settings(url, hold="Build")
    ask(url, "POST", TRIGGER, headers=TOKEN)
    settle(url, "/job/team/job/deploy/1/api/json", lambda one: one.status == 200)

    stopped = ask(url, "POST", "/job/team/job/deploy/1/stop", headers=TOKEN)
    refused = ask(url, "POST", "/job/team/job/deploy/1/stop", headers={"Authorization": basic("reader")})

    assert (stopped.status, stopped.headers["Location"]) == (302, f"{url}/job/team/job/deploy/1/")
    assert (refused.status, refused.headers["X-Required-Permission"]) == (403, "hudson.model.Item.Cancel")
    done = settle(url, "/job/team/job/deploy/1/api/json", lambda one: json.loads(one.text)["inProgress"] is False)
    assert json.loads(done.text)["result"] == "ABORTED"


def test_the_log_tells_where_to_go_on_and_whether_there_is_more(url):
    settings(url, hold="Build")
    ask(url, "POST", TRIGGER, headers=TOKEN)
    path = "/job/team/job/deploy/1/logText/progressiveText"
    first = settle(url, f"{path}?start=0", lambda one: one.status == 200 and one.text)
    settings(url, hold="")
    last = settle(url, f"{path}?start={first.headers['X-Text-Size']}", lambda one: "X-More-Data" not in one.headers)

    assert first.headers["X-More-Data"] == "true"
    assert first.headers["Content-Type"] == SHAPES["progressive-first"]["response"]["headers"]["Content-Type"]
    assert first.text.startswith("Started by user gmud\r\n")
    assert last.text.endswith("Finished: SUCCESS\r\n")
    assert ask(url, "GET", f"{path}?start=99999", headers=TOKEN).text == first.text + last.text


def test_the_stage_view_shows_what_started(url):
    ask(url, "POST", TRIGGER, headers=TOKEN)
    settle(url, "/job/team/job/deploy/1/api/json", lambda one: one.status == 200 and '"SUCCESS"' in one.text)

    view = json.loads(ask(url, "GET", "/job/team/job/deploy/1/wfapi/describe", headers=TOKEN).text)

    assert [(stage["name"], stage["status"]) for stage in view["stages"]] == [("Build", "SUCCESS")]
    assert view["status"] == "SUCCESS"


def test_while_it_starts_every_page_is_503(url):
    control(url, "settings", {"starting": True})

    answer = ask(url, "GET", "/api/json", headers=TOKEN)

    assert answer.status == SHAPES["starting-up"]["response"]["status"]
    assert "getting ready to work" in answer.text


def test_a_tree_cuts_the_answer_and_spans_cut_lists(url):
    for number in range(3):
        ask(url, "POST", f"{TRIGGER}{number}", headers=TOKEN)
    settle(url, "/job/team/job/deploy/3/api/json", lambda one: one.status == 200)
    path = "/job/team/job/deploy/api/json?tree="

    two = json.loads(ask(url, "GET", f"{path}name,builds%5Bnumber%5D%7B0,2%7D", headers=TOKEN).text)
    short = json.loads(ask(url, "GET", "/job/team/job/deploy/api/json", headers=TOKEN).text)

    assert {name: two[name] for name in two if name != "_class"}.keys() == {"name", "builds"}
    assert [one["number"] for one in two["builds"]] == [3, 2]
    assert set(short["builds"][0]) == {"_class", "number", "url"}


@pytest.mark.parametrize("recorded", CLIENTS, ids=lambda one: f"{one['lib']} {one['server_status']}")
def test_what_three_other_clients_send_is_answered_so_that_they_can_go_on(url, recorded):
    control(url, "settings", {"jobs": {"team/app": {"quiet_seconds": 30}}})
    if recorded["server_status"] == 303:
        ask(url, "POST", "/job/team/job/app/buildWithParameters?VERSION=1.2.3", headers=TOKEN)

    for request in recorded["requests"]:
        headers = {name: value for name, value in request["headers"].items() if name not in ("Host", "Connection")}
        headers["Authorization"] = basic()
        path = request["path"].replace("/item/41", "/item/1")
        answer = ask(url, request["method"], path, headers=headers, body=request["body"] or None)
        if "buildWithParameters" in path:
            assert answer.status == recorded["server_status"]
            assert answer.headers["Location"].endswith("/queue/item/1/")
        elif path.rstrip("/").endswith("/item/1"):
            assert answer.status == 404  # only …/api/json exists on the servers these clients were written for
        else:
            assert answer.status == 200
        if path.endswith("/api/python"):
            assert answer.text.startswith("{'")


# What only a Jenkins that lives does


def asking(url, **question):
    """Let a build ask something, and return what the stage view says of it."""
    settings(url, ask={"Build": {"message": "Go live?", **question}})
    ask(url, "POST", TRIGGER, headers=TOKEN)
    path = "/job/team/job/deploy/1/wfapi/pendingInputActions"
    (found,) = json.loads(settle(url, path, lambda one: one.status == 200 and one.text != "[]").text)
    return found


def test_an_input_is_told_with_its_id_capitalised_its_fields_and_its_addresses(url):
    takes = {"name": "SHARE", "kind": "choice", "choices": ["10", "50"], "default": "10"}
    asked = asking(url, submitter="ana,ops", parameters=[takes])
    view = json.loads(ask(url, "GET", "/job/team/job/deploy/1/wfapi/describe", headers=TOKEN).text)
    who = json.loads(ask(url, "GET", "/job/team/job/deploy/1/input/api/json", headers=TOKEN).text)

    fields = {"id", "proceedText", "message", "inputs", "proceedUrl", "abortUrl", "redirectApprovalUrl"}
    assert asked.keys() == fields
    assert asked["id"][0] == asked["id"][0].upper()
    assert asked["abortUrl"] == f"/job/team/job/deploy/1/input/{asked['id']}/abort"
    assert asked["inputs"][0]["definition"] == {"defaultVal": "10", "choices": ["10", "50"]}
    assert (view["status"], view["stages"][0]["status"]) == ("PAUSED_PENDING_INPUT", "PAUSED_PENDING_INPUT")
    assert [(one["id"], one["input"]["submitter"]) for one in who["executions"]] == [(asked["id"], "ana,ops")]


@pytest.mark.parametrize(
    ("verb", "method", "account", "status", "said"),
    [
        ("proceedEmpty", "GET", "gmud", 405, None),
        ("proceedEmpty", "POST", "gmud", 400, "You need to be ana,operator to submit this."),
        ("proceedEmpty", "POST", "operator", 403, None),  # signed in by password, without a crumb
        (
            "abort",
            "POST",
            "reader",
            400,
            "You need to be 'ana,operator' (or have Job/Cancel permissions) to cancel this.",
        ),
        ("abort", "POST", "gmud", 200, None),
        ("submit", "POST", "gmud", 200, None),  # without the field "proceed" it turns the input down
    ],
)
def test_who_may_not_answer_an_input_is_told_in_a_header(url, verb, method, account, status, said):
    asked = asking(url, submitter="ana,operator")

    path = f"/job/team/job/deploy/1/input/{asked['id']}/{verb}"
    answer = ask(url, method, path, headers={"Authorization": basic(account)})

    assert (answer.status, answer.headers.get("X-Error")) == (status, said)


def test_an_input_is_answered_once_and_then_unknown(url):
    asked = asking(url)
    path = f"/job/team/job/deploy/1/input/{asked['id']}/proceedEmpty"

    assert [ask(url, "POST", path, headers=TOKEN).status for _twice in range(2)] == [200, 404]


def test_a_token_beside_a_session_needs_a_crumb_because_the_session_is_looked_at_first(url):
    issued = ask(url, "GET", "/crumbIssuer/api/json", headers=TOKEN)
    session = {"Cookie": issued.headers["Set-Cookie"].split(";")[0]}

    assert ask(url, "POST", TRIGGER, headers={**TOKEN, **session}).status == 403
    assert ask(url, "POST", TRIGGER, headers=TOKEN).status == 201


def test_the_size_that_the_log_announces_is_not_the_length_of_what_it_sends(url):
    ask(url, "POST", TRIGGER, headers=TOKEN)
    path = "/job/team/job/deploy/1/logText/progressiveText"
    whole = settle(url, f"{path}?start=0", lambda one: one.status == 200 and "X-More-Data" not in one.headers)

    assert int(whole.headers["X-Text-Size"]) != len(whole.text)
    assert "\x1b" not in whole.text
    assert ask(url, "GET", f"{path}?start={whole.headers['X-Text-Size']}", headers=TOKEN).text == ""


def test_a_build_may_not_hear_a_stop_and_every_build_hears_a_kill(url):
    settings(url, hold="Build", deaf=["stop", "term"])
    ask(url, "POST", TRIGGER, headers=TOKEN)
    path = "/job/team/job/deploy/1"
    settle(url, f"{path}/api/json", lambda one: one.status == 200)

    for how in ("stop", "term"):
        assert ask(url, "POST", f"{path}/{how}", headers=TOKEN).status == 302
        assert json.loads(ask(url, "GET", f"{path}/api/json", headers=TOKEN).text)["building"] is True
    ask(url, "POST", f"{path}/kill", headers=TOKEN)

    done = settle(url, f"{path}/api/json", lambda one: json.loads(one.text)["inProgress"] is False)
    assert json.loads(done.text)["result"] == "ABORTED"
    assert "Hard kill!" in ask(url, "GET", f"{path}/consoleText", headers=TOKEN).text


def test_a_freestyle_job_has_neither_stages_nor_inputs_nor_harder_ways_to_end(url):
    settings(url, freestyle=True, hold="Build")
    ask(url, "POST", TRIGGER, headers=TOKEN)
    path = "/job/team/job/deploy/1"
    build = json.loads(settle(url, f"{path}/api/json", lambda one: one.status == 200).text)

    assert build["_class"] == SHAPES["build-running"]["response"]["json"]["_class"]
    for rest in ("wfapi/describe", "wfapi/pendingInputActions", "input/api/json"):
        assert ask(url, "GET", f"{path}/{rest}", headers=TOKEN).status == 404
    assert [ask(url, "POST", f"{path}/{how}", headers=TOKEN).status for how in ("term", "kill", "stop")] == [
        404,
        404,
        302,
    ]


def test_a_restart_forgets_what_left_the_queue_keeps_what_waits_and_goes_on_with_pipelines(url):
    settings(url, hold="Build")
    ask(url, "POST", TRIGGER, headers=TOKEN)
    settle(url, "/queue/item/1/api/json", lambda one: json.loads(one.text).get("executable"))
    ask(url, "POST", TRIGGER, headers=TOKEN)

    control(url, "settings", {"restarted": True})

    items = [ask(url, "GET", f"/queue/item/{number}/api/json", headers=TOKEN).status for number in (1, 2)]
    assert items == [404, 200]
    assert json.loads(ask(url, "GET", "/job/team/job/deploy/1/api/json", headers=TOKEN).text)["building"] is True


def test_a_renamed_job_takes_its_builds_along_and_leaves_nothing_behind(url):
    ask(url, "POST", TRIGGER, headers=TOKEN)
    settle(url, "/job/team/job/deploy/1/api/json", lambda one: one.status == 200)

    control(url, "settings", {"rename": [JOB, "team/ship"]})

    assert ask(url, "GET", "/job/team/job/deploy/1/api/json", headers=TOKEN).status == 404
    assert ask(url, "GET", "/job/team/job/ship/1/api/json", headers=TOKEN).status == 200


def test_branches_stand_in_a_multibranch_project_under_names_that_are_encoded_twice(url):
    control(url, "settings", {"jobs": {"team/main/feature%2Fx": {"branch": True}}})

    above = json.loads(ask(url, "GET", "/job/team/api/json", headers=TOKEN).text)["jobs"]
    (branch,) = json.loads(ask(url, "GET", "/job/team/job/main/api/json", headers=TOKEN).text)["jobs"]

    recorded = json.loads((RECORDINGS / "mbranch.json").read_text())
    assert recorded["_class"] in [one["_class"] for one in above if one["name"] == "main"]
    assert branch["_class"] == recorded["jobs"][0]["_class"]
    assert (branch["name"], branch["fullName"]) == ("feature%2Fx", "team/main/feature%2Fx")
    assert branch["url"] == f"{url}/job/team/job/main/job/feature%252Fx/"
    assert ask(url, "GET", "/job/team/job/main/job/feature%252Fx/api/json", headers=TOKEN).status == 200
    assert ask(url, "GET", "/job/team/job/main/job/feature%2Fx/api/json", headers=TOKEN).status == 404
