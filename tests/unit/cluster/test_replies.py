"""What an API server's answer means, from its recorded body."""

import json

import pytest

from releases.cluster import errors
from releases.cluster.replies import failure, found
from releases.core.errors import Rejected, Unreachable
from releases.core.http import Reply
from tests.factories.traffic import recording


def reply(name):
    recorded = recording(name)["response"]
    body = recorded["body"]
    text = body.get("_raw_text") if isinstance(body, dict) and "_raw_text" in body else body
    raw = text if isinstance(text, str) else json.dumps(text)
    return Reply(recorded["status"], recorded["headers"], raw.encode())


def test_an_audit_id_of_any_length_fits_into_the_ledger():
    assert found(Reply(200, {"audit-id": "7" * 500}, b"{}")).audit_id == "7" * 64


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("vs-jsonpatch-malformed-400", errors.Malformed),
        ("vs-create-strict-unknown-field-400", errors.Malformed),
        ("vs-webhook-denied-negative-400", errors.Denied),
        ("vs-get-401", errors.Unauthorized),
        ("vs-patch-403", errors.Forbidden),
        ("k8s-apigroup-missing-404", errors.NotInstalled),
        ("k8s-resource-crd-missing-404", errors.NotInstalled),
        ("vs-get-404", errors.ObjectMissing),
        ("vs-jsonpatch-replace-rv-stale-409", errors.VersionConflict),
        ("vs-strategicmerge-415", errors.Malformed),
        ("vs-jsonpatch-test-fails-weight-422", errors.PatchFailed),
        ("vs-jsonpatch-path-missing-422", errors.PatchFailed),
        ("vs-weight-string-422", errors.Invalid),
        ("vs-duration-cel-422", errors.Invalid),
        ("k8s-429-too-many-requests", errors.Throttled),
        ("vs-webhook-down-500-failurePolicy-Fail", errors.WebhookDown),
        ("vs-webhook-timeout-500-failurePolicy-Fail", errors.WebhookDown),
        ("vs-webhook-error-500-failurePolicy-Fail", errors.WebhookDown),
        ("vs-request-timeout-504", Unreachable),
    ],
)
def test_each_refusal_has_its_own_name(name, kind):
    assert type(failure(reply(name))) is kind


def test_a_refusal_keeps_the_servers_words_and_status():
    error = failure(reply("vs-patch-403"))
    assert isinstance(error, Rejected)
    assert "cannot patch resource" in str(error)
    assert error.http_status == 403


def test_patience_asked_for_is_kept():
    assert failure(reply("k8s-429-too-many-requests")).retry_after == 1.0


def test_warnings_and_the_audit_id_are_read():
    answer = found(reply("vs-create-warn-unknown-field-201"))
    assert answer.warnings == ('unknown field "spec.http[1].notAField"',)
    assert answer.audit_id == "1ab9c5cd-fe77-41ef-9571-8d7674e549e7"


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>sign in</html>"), (200, b"[]"), (302, b""), (502, b"<h1>Bad gateway</h1>")]
)
def test_what_is_no_api_servers_answer_leaves_the_outcome_unknown(status, body):
    with pytest.raises(Unreachable):
        found(Reply(status, {}, body))
