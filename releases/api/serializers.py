"""The shapes of the API: what comes in is checked here, what goes out is described here; nothing here saves."""

from typing import Any

from rest_framework import serializers

from releases.api.parsing import StrictSerializer
from releases.api.problems import CONTENT_TYPE
from releases.changes.pace import MOST_MINUTES, MOST_STEPS, pace_of
from releases.changes.services import ChangeDraft, ItemDraft
from releases.changes.states import ChangeType, MigrationClass, Outcome, State
from releases.committee.rules import Decision
from releases.gate.rules import Request, Run
from releases.gate.states import Intent, ReasonCode, Verdict
from releases.traffic.states import Choice

MOST_TESTS = 10_000_000
MOST_ITEMS = 20
LONGEST_TEXT = 20_000
STATES = [one.value for one in State]
OUTCOMES = ["", *(one.value for one in Outcome)]


def digest_field(**options: Any) -> serializers.RegexField:
    """Return a field that takes digests and says why tags are refused."""
    return serializers.RegexField(
        r"\Asha256:[0-9a-f]{64}\Z",
        trim_whitespace=False,
        error_messages={"invalid": "Give the digest, sha256: and 64 hexadecimal figures: a tag can move."},
        **options,
    )


def tests_field() -> serializers.IntegerField:
    """Return a field that counts tests."""
    return serializers.IntegerField(min_value=0, max_value=MOST_TESTS, required=False, allow_null=True, default=None)


class ItemIn(StrictSerializer):
    """One item of a change request; the way back is proposed from what runs now when it is left out."""

    service = serializers.CharField(max_length=63)
    environment = serializers.CharField(max_length=63)
    version = serializers.CharField(max_length=100)
    digest = digest_field()
    back_version = serializers.CharField(max_length=100, required=False, default="")
    back_digest = digest_field(required=False)
    migration_class = serializers.ChoiceField(choices=[one.value for one in MigrationClass], default="none")


def people_field(*, help_text: str) -> Any:
    """Return a list of user names that stays as it is when it is left out."""
    return serializers.ListField(
        child=serializers.CharField(max_length=64),
        required=False,
        default=None,
        max_length=MOST_ITEMS,
        help_text=help_text,
    )


class StepIn(StrictSerializer):
    """One step of a release: so many percent of the traffic, then so many minutes in which health is judged."""

    percent = serializers.IntegerField(min_value=1, max_value=100)
    pause_minutes = serializers.IntegerField(min_value=0, max_value=MOST_MINUTES, required=False, default=0)


class ChangeIn(StrictSerializer):
    """A change request; moments are ISO 8601 with an offset."""

    title = serializers.CharField(max_length=150, required=False, default="", allow_blank=True)
    why = serializers.CharField(required=False, default="", allow_blank=True, max_length=LONGEST_TEXT)
    type = serializers.ChoiceField(choices=[one.value for one in ChangeType], default=ChangeType.NORMAL.value)
    plan = serializers.CharField(required=False, default="", allow_blank=True, max_length=LONGEST_TEXT)
    items: Any = serializers.ListSerializer(child=ItemIn(), required=False, default=list, max_length=MOST_ITEMS)
    tests_passed = tests_field()
    tests_failed = tests_field()
    tests_url = serializers.URLField(required=False, default="", allow_blank=True)
    starts_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    ends_at = serializers.DateTimeField(required=False, allow_null=True, default=None)
    parameters = serializers.DictField(
        child=serializers.CharField(max_length=200),
        required=False,
        default=None,
        help_text="Given by name to every job that deploys an item, before those of its binding.",
    )
    steps: Any = serializers.ListSerializer(
        child=StepIn(),
        required=False,
        default=None,
        max_length=MOST_STEPS,
        help_text="The pace: a share and the pause after it, the last 100 without one. Empty is the usual pace.",
    )
    implementers = people_field(help_text="User names of who carries it out; they cannot decide on it.")
    committers = people_field(help_text="User names of who wrote the code it releases; they cannot decide on it.")

    def as_draft(self) -> ChangeDraft:
        """Return what the service takes."""
        data = dict(self.validated_data)
        data["items"] = tuple(ItemDraft(**item) for item in data["items"])
        data["steps"] = data["steps"] if data["steps"] is None else pace_of(data["steps"])
        return ChangeDraft(**data)


class ChangesAsked(StrictSerializer):
    """Which changes a list shows."""

    state = serializers.ListField(child=serializers.ChoiceField(choices=STATES), required=False, default=list)
    service = serializers.CharField(max_length=63, required=False, default="", allow_blank=True)
    environment = serializers.CharField(max_length=63, required=False, default="", allow_blank=True)
    before = serializers.IntegerField(min_value=1, max_value=2**31 - 1, required=False, default=None)


class ReasonParts(serializers.Serializer[Any]):
    """What every reason says beside its code: a sentence, the way out, until when."""

    severity = serializers.ChoiceField(choices=["stop", "wait", "warn"])
    message = serializers.CharField()
    fix = serializers.CharField(allow_null=True)
    until = serializers.DateTimeField(allow_null=True)


class ReasonOut(ReasonParts):
    """Why not, with a stable code."""

    code = serializers.CharField()


class GateReasonOut(ReasonParts):
    """Why the gate does not open; the codes are stable."""

    code = serializers.ChoiceField(choices=[one.value for one in ReasonCode])


class Problem(serializers.Serializer[Any]):
    """A failure (RFC 9457)."""

    type = serializers.CharField()
    status = serializers.IntegerField()
    code = serializers.CharField()
    detail = serializers.CharField()
    reasons = ReasonOut(many=True, required=False)
    verdict = serializers.CharField(required=False)
    fields_ = serializers.DictField(child=serializers.ListField(child=serializers.CharField()), required=False)

    def get_fields(self) -> dict[str, Any]:
        """Name the last field as it is on the wire."""
        found = super().get_fields()
        found["fields"] = found.pop("fields_")
        return found


def problems(*statuses: int) -> dict[tuple[int, str], type[Problem]]:
    """Return these failures as the schema describes them."""
    return dict.fromkeys([(status, CONTENT_TYPE) for status in statuses], Problem)


class ItemOut(serializers.Serializer[Any]):
    """One item of a change."""

    service = serializers.CharField()
    environment = serializers.CharField()
    version = serializers.CharField()
    digest = serializers.CharField()
    back_version = serializers.CharField()
    back_digest = serializers.CharField()
    migration_class = serializers.CharField()


class CheckOut(serializers.Serializer[Any]):
    """One line of the checklist."""

    code = serializers.CharField()
    holds = serializers.BooleanField()
    message = serializers.CharField(allow_null=True)


class ChangeRow(serializers.Serializer[Any]):
    """A change request as lists show it."""

    name = serializers.CharField()
    number = serializers.IntegerField()
    type = serializers.ChoiceField(choices=[one.value for one in ChangeType])
    state = serializers.ChoiceField(choices=STATES)
    title = serializers.CharField()
    why = serializers.CharField()
    level = serializers.CharField()
    requester = serializers.CharField()
    items = ItemOut(many=True)
    steps = StepIn(many=True)
    starts_at = serializers.DateTimeField(allow_null=True)
    ends_at = serializers.DateTimeField(allow_null=True)
    content_digest = serializers.CharField()
    revision_number = serializers.IntegerField()
    is_on_hold = serializers.BooleanField()
    outcome = serializers.ChoiceField(choices=OUTCOMES)
    watch_until_at = serializers.DateTimeField(allow_null=True)
    url = serializers.CharField()


class ChangeOut(ChangeRow):
    """A change request."""

    checklist = CheckOut(many=True)


class ChangesOut(serializers.Serializer[Any]):
    """A page of changes, newest first; ask again with ``before=next_before`` for older ones."""

    changes = ChangeRow(many=True)
    next_before = serializers.IntegerField(allow_null=True)


class VoteIn(StrictSerializer):
    """A vote; only people cast votes, on the page."""

    decision = serializers.ChoiceField(choices=[one.value for one in Decision])
    seen_digest = digest_field()
    reason = serializers.CharField(required=False, default="", allow_blank=True)


class SeenIn(StrictSerializer):
    """An act on a change; ``seen_digest`` refuses it when the content is another one by now."""

    seen_digest = digest_field(required=False)


class ReasonIn(StrictSerializer):
    """An act with an optional reason."""

    reason = serializers.CharField(max_length=500, required=False, default="", allow_blank=True)


class ReleaseIn(ReasonIn):
    """A release that begins; ``choice`` and why, where Git or a chart holds a route."""

    choice = serializers.ChoiceField(
        choices=[one.value for one in Choice], required=False, default="", allow_blank=True
    )


class ArtifactIn(StrictSerializer):
    """An artifact: its name and its digest."""

    name = serializers.CharField(max_length=200)
    digest = digest_field()


class RunIn(StrictSerializer):
    """The run that asks or redeems."""

    provider = serializers.RegexField(
        r"\A[^:\s]+\Z",  # "provider:id" names one run only
        max_length=40,
        error_messages={"invalid": "Name the provider without a colon or a space, like jenkins."},
    )
    id = serializers.CharField(max_length=200)
    url = serializers.URLField(required=False, default="", allow_blank=True)

    def as_run(self) -> Run:
        """Return what the gate takes."""
        return Run(**self.validated_data)


class DecisionIn(StrictSerializer):
    """A question to the gate."""

    service = serializers.CharField(max_length=63)
    environment = serializers.CharField(max_length=63)
    artifact = ArtifactIn()
    intent = serializers.ChoiceField(choices=[one.value for one in Intent])
    run = RunIn(required=False)
    change_request = serializers.RegexField(
        r"\A(CHG-)?[0-9]{1,9}\Z", required=False, error_messages={"invalid": "Write it like CHG-1042."}
    )
    callback_url = serializers.CharField(
        required=False,
        default="",
        trim_whitespace=False,
        help_text="https://: where to be told once, when the answer is wait, that it would be another one now. "
        "What is posted there carries no permit and is not signed: ask the gate again.",
    )

    def as_request(self) -> Request:
        """Return what the gate takes."""
        data = self.validated_data
        number = data.get("change_request")
        return Request(
            service=data["service"],
            environment=data["environment"],
            artifact_name=data["artifact"]["name"],
            digest=data["artifact"]["digest"],
            intent=Intent(data["intent"]),
            run=Run(**data["run"]) if "run" in data else Run(),
            change_number=int(number.removeprefix("CHG-")) if number else None,
        )


class DecisionOut(serializers.Serializer[Any]):
    """The gate's answer."""

    decision_id = serializers.UUIDField()
    verdict = serializers.ChoiceField(choices=[one.value for one in Verdict])
    reasons = GateReasonOut(many=True)
    change_request = serializers.CharField(allow_null=True)
    valid_until = serializers.DateTimeField(allow_null=True)
    retry_after = serializers.IntegerField(allow_null=True)
    permit = serializers.CharField(allow_null=True)
    slot = serializers.CharField(allow_blank=True, help_text="The side to deploy to; empty but for an allow to deploy.")
    receipt_url = serializers.CharField()
    status_url = serializers.URLField()


class StatusOut(serializers.Serializer[Any]):
    """The gate's answer as one word, for callers that compare words; ``progress`` is always a text."""

    decision_id = serializers.UUIDField()
    status = serializers.ChoiceField(choices=["APPROVED", "PENDING", "REJECTED"])
    progress = serializers.CharField(allow_blank=True)
    retry_after = serializers.IntegerField(allow_null=True)
    permit = serializers.UUIDField(allow_null=True, help_text="With APPROVED: its id, for reports.")
    slot = serializers.CharField(allow_blank=True, help_text="With APPROVED: the side to deploy to.")


class RedeemIn(StrictSerializer):
    """Taking a permit: by which run, for which artifact."""

    run = RunIn()
    artifact_digest = digest_field()


class RedeemOut(serializers.Serializer[Any]):
    """A permit that was taken."""

    jti = serializers.UUIDField()
    run = serializers.CharField()
    redeemed_at = serializers.DateTimeField()
    service = serializers.CharField()
    environment = serializers.CharField()
    artifact_digest = serializers.CharField()
    intent = serializers.CharField()
    change_request = serializers.CharField()


class ReceiptOut(serializers.Serializer[Any]):
    """A signed receipt: compact JWS that verifies offline with the keys of ``jwks.json``."""

    decision_id = serializers.UUIDField()
    receipt = serializers.CharField()


class JwksOut(serializers.Serializer[Any]):
    """A JSON Web Key Set."""

    keys = serializers.ListField(child=serializers.DictField(child=serializers.CharField()))


class OperationOut(serializers.Serializer[Any]):
    """Durable work that was begun, or that goes on."""

    change_request = serializers.CharField()
    state = serializers.CharField()
    operation = serializers.UUIDField()
    url = serializers.CharField()
