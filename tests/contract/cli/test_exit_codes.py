"""``gmud`` exits 0 only after everything was verified and the permit redeemed; each other code has its situation."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from releases.accounts.rights import Right
from releases.calendar import services as calendar
from releases.changes import services as changes
from releases.changes.states import State
from releases.core import clock
from releases.gate import keys, permits, services
from releases.gate.models import Permit
from releases.rollback.models import Rollback
from tests.contract.cli.conftest import Reply, Shell, between
from tests.factories.accounts import a_token
from tests.factories.catalog import a_digest
from tests.factories.gate import CI, RUN, a_question

DONE, WRONG_USE, DENIED, UNREACHABLE, BAD_SIGNATURE, BAD_CLOCK, STILL_WAITING = 0, 2, 10, 11, 12, 13, 14

pytestmark = pytest.mark.once  # a process on the other side of HTTP


def state_of(shell: Shell) -> str:
    shell.change.refresh_from_db()
    return shell.change.state


def test_0_the_gate_allows_the_permit_verifies_and_is_redeemed(shell):
    code, out, _err = shell.wait()

    assert code == DONE
    assert shell.change.name in out
    assert Permit.objects.get().redeemed_by == "jenkins:team/app/deploy#77"
    assert state_of(shell) == State.IMPLEMENTING


def test_0_with_everything_as_json(shell):
    code, out, _err = shell.run("--json", "gate", "wait", *shell.about())

    assert code == DONE
    assert json.loads(out)["verdict"] == "allow"


def test_0_leaves_the_permit_and_the_side_to_deploy_to_in_files(shell, tmp_path):
    files = [str(tmp_path / name) for name in ("permit", "slot")]

    assert shell.run("gate", "wait", "--permit-file", files[0], "--slot-file", files[1], *shell.about())[0] == DONE
    assert (tmp_path / "slot").read_text() == "stable"
    assert permits.told((tmp_path / "permit").read_text())["jti"] == str(Permit.objects.get().pk)


@pytest.mark.parametrize("lost", ["/decisions", "/redeem"])
def test_0_though_two_answers_were_lost(shell, lost):
    left = ["once", "twice"]

    def restarting(path: str, reply: Reply) -> Reply:
        if path.endswith(lost) and left:
            left.pop()
            return 503, "text/html", b"<html>Restarting</html>"
        return reply

    with between(shell.url, restarting) as url:
        assert replace(shell, url=url).wait(timeout=30)[0] == DONE
    assert left == []
    assert Permit.objects.exclude(redeemed_at=None).get().redeemed_by == "jenkins:team/app/deploy#77"


def test_10_denied_with_the_reasons_in_words(shell):
    code, out, err = shell.wait(digest=a_digest())

    assert (code, out) == (DENIED, "")
    assert "artifact_mismatch" in err
    assert state_of(shell) == State.SCHEDULED


def test_10_an_unknown_token_or_none(shell):
    for token in ("", "gmud_aaaaaaaa_" + "A" * 43):
        assert replace(shell, token=token).wait()[0] == DENIED


def test_10_a_service_that_does_not_exist_is_named(shell):
    code, _out, err = shell.wait(service="nowhere")

    assert code == DENIED
    assert "service" in err


def test_11_nobody_listens(shell):
    assert replace(shell, url="http://127.0.0.1:9").wait()[0] == UNREACHABLE


def test_11_the_gate_cannot_decide(shell, settings):
    for place in Path(settings.GMUD_KEYS).iterdir():
        place.write_bytes(b"this was a key")

    assert shell.wait()[0] == UNREACHABLE
    assert state_of(shell) == State.SCHEDULED


def test_14_still_waiting_at_the_time_out_with_the_reasons(shell):
    lock = calendar.lock(
        actor=shell.house.actor("manager"),
        reason="Odd errors",
        environment_id=shell.house.environment.pk,
        now=shell.house.now,
    )
    code, _out, err = shell.wait(timeout=0)
    assert code == STILL_WAITING
    assert "lock_active" in err

    calendar.unlock(lock_id=lock.pk, actor=shell.house.actor("manager"), now=shell.house.now)
    assert shell.wait()[0] == DONE


def a_token_of(shell: Shell, *, later: timedelta = timedelta(0)) -> str:
    question = a_question(shell.house, shell.change)
    answer = services.ask(actor=CI, request=question, now=clock.now() + later)
    assert answer.permit is not None
    return answer.permit


@pytest.mark.parametrize("verb", ["verify", "redeem"])
def test_13_a_permit_that_is_not_good_yet(shell, verb):
    permit = a_token_of(shell, later=timedelta(minutes=6))

    assert shell.run("permit", verb, permit, *(shell.about() if verb == "redeem" else shell.artifact()))[0] == BAD_CLOCK
    assert Permit.objects.get().redeemed_at is None


def signed(shell: Shell, settings, **changed) -> str:
    """Return a permit with other claims, signed with the gate's own key."""
    kid, key = keys.signing(Path(settings.GMUD_KEYS))
    payload = {**jwt.decode(a_token_of(shell), options={"verify_signature": False}), **changed}
    return jwt.encode(payload, key, algorithm="EdDSA", headers={"kid": kid, "typ": permits.PERMIT_TYPE})


def test_13_a_permit_whose_time_is_over(shell, settings, now):
    past = int(now.timestamp()) - 600
    permit = signed(shell, settings, iat=past, nbf=past, exp=past + 300)

    assert shell.run("permit", "verify", permit, *shell.artifact())[0] == BAD_CLOCK


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "deploy:staging:ledgerwriter"},
        {"aud": ["deploy:production:ledgerwriter"]},
        {"art": a_digest()},
        {"env": "staging"},
        {"svc": "contacts"},
        {"iss": "somebody"},
    ],
    ids=str,
)
def test_12_a_permit_of_ours_for_something_else(shell, settings, changed):
    assert shell.run("permit", "redeem", signed(shell, settings, **changed), *shell.about())[0] == BAD_SIGNATURE
    assert Permit.objects.get().redeemed_at is None


def test_0_a_job_that_goes_both_ways_takes_the_permit_for_what_it_is_and_12_one_that_says_which(shell, settings):
    """What a permit says it is for counts only when its one audience says the same, and it is signed."""
    back = signed(shell, settings, act="rollback", aud=f"rollback:production:{shell.house.service.name}")
    turned = signed(shell, settings, act="rollback")

    assert shell.run("permit", "verify", back, *shell.artifact())[0] == DONE
    assert shell.run("permit", "verify", back, *shell.artifact(intent="rollback"))[0] == DONE
    assert shell.run("permit", "verify", back, *shell.artifact(intent="deploy"))[0] == BAD_SIGNATURE
    assert shell.run("permit", "verify", turned, *shell.artifact())[0] == BAD_SIGNATURE


def test_12_words_that_are_no_permit(shell):
    for words in ("yes", "a.b.c", a_token_of(shell)[:-8] + "AAAAAAAA"):
        assert shell.run("permit", "verify", words, *shell.artifact())[0] == BAD_SIGNATURE


def test_0_verify_leaves_the_permit_for_redeem_and_another_run_is_10(shell):
    permit = a_token_of(shell)
    flags = shell.about(run=f"{RUN.provider}:{RUN.id}")
    assert shell.run("permit", "verify", permit, *shell.artifact())[0] == DONE
    assert Permit.objects.get().redeemed_at is None

    assert shell.run("permit", "redeem", permit, *shell.about(run="jenkins:78"))[0] == DENIED
    assert shell.run("permit", "redeem", permit, *flags)[0] == DONE
    assert shell.run("permit", "redeem", permit, *flags)[0] == DONE
    assert shell.run("permit", "redeem", permit, *shell.about(run="jenkins:78"))[0] == DENIED


FOREIGN = Ed25519PrivateKey.generate()


def twisted(**changed: object) -> Callable[[str, Reply], Reply]:
    """Return something that changes the gate's answer on its way."""

    def twist(path: str, reply: Reply) -> Reply:
        if not path.endswith("/decisions"):
            return reply
        document = json.loads(reply[2])
        for name, value in changed.items():
            document[name] = value(document) if callable(value) else value
        return 200, "application/json", json.dumps(document).encode()

    return twist


def resigned(document: dict) -> str:
    payload = jwt.decode(document["permit"], options={"verify_signature": False})
    kid = jwt.get_unverified_header(document["permit"])["kid"]
    return jwt.encode(payload, FOREIGN, algorithm="EdDSA", headers={"kid": kid, "typ": permits.PERMIT_TYPE})


def test_0_with_the_warning_on_the_other_stream(shell):
    warning = {"code": "error_budget_exhausted", "severity": "warn", "message": "It is spent.", "fix": "Mend it."}
    with between(shell.url, twisted(reasons=[warning])) as url:
        code, out, err = replace(shell, url=url).wait()

    assert code == DONE
    assert out.strip() == f"allowed by {shell.change.name}, permit redeemed"
    assert "allowed, with a warning:\n- error_budget_exhausted: It is spent. Mend it." in err


@pytest.mark.parametrize(
    "changed",
    [
        {"permit": None},
        {"permit": ""},
        {"permit": {"allow": True}},
        {"permit": "allow"},
        {"permit": resigned},
        {"permit": lambda document: document["permit"][:-8] + "AAAAAAAA"},
        {"permit": lambda document: document["permit"].rsplit(".", 1)[0] + "."},
    ],
    ids=["none", "empty", "an object", "a word", "signed by another key", "altered", "without signature"],
)
def test_12_an_allow_whose_permit_is_not_ours(shell, changed):
    with between(shell.url, twisted(**changed)) as url:
        assert replace(shell, url=url).wait()[0] == BAD_SIGNATURE
    assert Permit.objects.get().redeemed_at is None
    assert state_of(shell) == State.SCHEDULED


def test_12_a_deny_that_somebody_turned_into_an_allow(shell):
    with between(shell.url, twisted(verdict="allow")) as url:
        assert replace(shell, url=url).wait(digest=a_digest())[0] == BAD_SIGNATURE


def instead(status: int, content: bytes, kind: str = "application/json", of: str = "/decisions"):
    return lambda path, reply: (status, kind, content) if path.endswith(of) else reply


LIES = {
    "200 and HTML": instead(200, b"<html>allow</html>", "text/html"),
    "200 and nothing": instead(200, b""),
    "200 and half of it": instead(200, b'{"verdict": "allow", "permit": "eyJ'),
    "200 and a list": instead(200, b'["allow"]'),
    "200 and a word": instead(200, b'"allow"'),
    "200 and null": instead(200, b"null"),
    "502": instead(502, b"<html>Bad gateway</html>", "text/html"),
    "502 that allows": instead(502, b'{"verdict": "allow"}'),
    "500": instead(500, b"{}"),
    "304": instead(304, b""),
    "reasons of another shape": instead(200, b'{"verdict": "deny", "reasons": 7}'),
    "a wait of another shape": instead(200, b'{"verdict": "wait", "retry_after": "soon"}'),
    "another verdict": instead(200, b'{"verdict": "ALLOW"}'),
    "201": instead(201, b'{"verdict": "allow"}'),
    "redirect": instead(302, b'{"verdict": "allow"}'),
    "no keys": instead(200, b'{"keys": []}', of="/jwks.json"),
    "keys of another shape": instead(200, b'{"keys": [7]}', of="/jwks.json"),
    "keys that are none": instead(
        200, b'{"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "x", "x": "AA"}]}', of="/jwks.json"
    ),
    "a redemption of nothing": instead(200, b"{}", of="/redeem"),
    "a redemption of another": instead(200, b'{"jti": "another", "artifact_digest": "x"}', of="/redeem"),
    "a redemption in HTML": instead(200, b"<html>ok</html>", "text/html", of="/redeem"),
}


@pytest.mark.parametrize("twist", LIES.values(), ids=LIES)
def test_never_0_when_the_answer_is_not_a_clear_one(shell, twist):
    with between(shell.url, twist) as url:
        code, out, err = replace(shell, url=url).wait()

    assert code in {DENIED, UNREACHABLE, BAD_SIGNATURE}
    assert out == ""
    assert err


def test_a_change_is_shown_and_an_unknown_one_is_10(shell):
    code, out, _err = shell.run("change", "show", shell.change.name)
    assert code == DONE
    assert shell.change.title in out
    assert "scheduled" in out

    assert shell.run("change", "show", "CHG-999999")[0] == DENIED
    assert shell.run("change", "show", "everything")[0] == WRONG_USE


def test_going_back_where_nothing_was_released_is_10_with_the_reason(shell):
    code, _out, err = shell.run("rollback", shell.change.name, "--reason", "Errors")

    assert code == DENIED
    assert err.strip()


def started(shell: Shell) -> None:
    """Let the release begin by the gate's own permit, and be deployed."""
    assert shell.wait()[0] == DONE
    changes.deployed(change_id=shell.change.pk, actor=shell.house.actor("manager"), now=clock.now())


def test_0_going_back_begins_the_rollback_and_says_where_to_watch_it(shell):
    started(shell)

    code, out, err = shell.run("rollback", shell.change.name, "--reason", "The errors rise.")

    assert (code, err) == (DONE, "")
    assert shell.change.name in out
    assert f"/live/{shell.change.number}" in out
    assert state_of(shell) == State.ROLLING_BACK
    assert Rollback.objects.get(change=shell.change).reason == "The errors rise."


def test_0_going_back_twice_joins_the_same_rollback_and_everything_is_there_as_json(shell):
    started(shell)
    assert shell.run("rollback", str(shell.change.number), "--reason", "The errors rise.")[0] == DONE

    code, out, _err = shell.run("--json", "rollback", shell.change.name, "--reason", "I pressed it, too.")

    assert code == DONE
    assert json.loads(out)["change_request"] == shell.change.name
    assert Rollback.objects.filter(change=shell.change).count() == 1


def test_10_going_back_with_a_token_that_may_not(shell, now):
    started(shell)
    _row, reader = a_token(Right.CHANGE_READ, now=now)

    code, out, err = replace(shell, token=reader).run("rollback", shell.change.name, "--reason", "Errors")

    assert (code, out) == (DENIED, "")
    assert err.strip()
    assert state_of(shell) == State.WATCHING


def test_2_for_words_that_make_no_command(shell):
    without_a_run = ["gate", "wait", *shell.artifact()]
    for words in (without_a_run, [], ["gate"], ["gate", "wait"], ["destroy"], ["gate", "wait", "--service", "a"]):
        assert shell.run(*words)[0] == WRONG_USE
