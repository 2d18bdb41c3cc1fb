"""What a fresh Spinnaker holds: for each service of Bank of Anthos, in its team's application, a pipeline to push.

Beside it stands one that is pulled: whoever starts it, it waits for the gate, and reports.
"""

from gmud.sandbox.jenkins_controller import BANK_OF_ANTHOS
from gmud.sandbox.spinnaker.models import Json, Pipeline

PERMIT, GATE, START, END = "gmudPermit", "gmudGate", "gmudStart", "gmudEnd"
"""The preconfigured webhooks: redeem the permit that was given; or wait for the gate, report the start and the end."""
PULLED = "{name} when the gate opens"
PARAMETERS = (
    ("GMUD_CORRELATION", ()),
    ("GMUD_PERMIT", ()),
    ("GMUD_PERMIT_ID", ()),
    ("SERVICE", ()),
    ("ENVIRONMENT", ()),
    ("VERSION", ()),
    ("DIGEST", ()),
    ("SLOT", ("stable", "canary")),
)


def _stages(*kinds: tuple[str, str]) -> tuple[Json, ...]:
    return tuple(
        {"refId": str(at), "type": kind, "name": name, "requisiteStageRefIds": [str(at - 1)] if at > 1 else []}
        for at, (kind, name) in enumerate(kinds, start=1)
    )


DEPLOY = ("deployManifest", "Deploy")
STAGES = _stages((PERMIT, "Permit"), DEPLOY)
PULLED_STAGES = _stages((GATE, "Gate"), (START, "Start"), DEPLOY, (END, "End"))


def bank_of_anthos() -> dict[str, Pipeline]:
    """Return the pipelines by application and name."""
    names = [(team, f"Deploy {service}") for team, services in BANK_OF_ANTHOS.items() for service in services]
    found = [make(*name) for name in names for make in (a_pipeline, a_pulled_pipeline)]
    return {f"{one.application}/{one.name}": one for one in found}


def a_pipeline(application: str, name: str) -> Pipeline:
    """Return a pipeline that redeems its permit and deploys."""
    return Pipeline(application, name, [parameter(*one) for one in PARAMETERS], [dict(one) for one in STAGES])


def a_pulled_pipeline(application: str, name: str) -> Pipeline:
    """Return the pipeline beside another that asks the gate, waits, deploys and reports."""
    given = [parameter(*one) for one in PARAMETERS if not one[0].startswith("GMUD_")]
    return Pipeline(application, PULLED.format(name=name), given, [dict(one) for one in PULLED_STAGES])


def parameter(name: str, options: tuple[str, ...] = (), default: str = "") -> Json:
    """Return one entry of ``parameterConfig``."""
    return {
        "name": name,
        "label": "",
        "required": not name.startswith("GMUD_"),
        "default": default,
        "hasOptions": bool(options),
        "options": [{"value": one} for one in options],
    }


def webhooks(gate_url: str, token: str) -> dict[str, Json]:
    """Return the preconfigured webhooks by type, as an operator writes them into Orca's settings."""
    root = f"{gate_url.rstrip('/')}/api/v1" if gate_url else "http://127.0.0.1:9/no-gate-is-configured"
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    run = {"run": {"provider": "spinnaker", "id": "${execution.id}"}}
    digest = {"artifact_digest": "${parameters.DIGEST}"}
    place = {"service": "${parameters.SERVICE}", "environment": "${parameters.ENVIRONMENT}", "intent": "deploy"}
    report = {"permit": "${#stage('Gate').context.webhook.monitor.body.permit}", **digest, **run}
    awaited = {
        "waitForCompletion": True,
        "statusUrlResolution": "webhookResponse",
        "statusUrlJsonPath": "$.status_url",
        "statusJsonPath": "$.status",
        "progressJsonPath": "$.progress",
        "successStatuses": "APPROVED",
        "terminalStatuses": "REJECTED",
        "customHeaders": {"Idempotency-Key": ["${execution.id}"]},
    }
    artifact = {"artifact": {"name": "${parameters.SERVICE}", "digest": "${parameters.DIGEST}"}}
    found: dict[str, tuple[str, Json, Json]] = {
        PERMIT: ("gate/permits/${parameters.GMUD_PERMIT_ID}/redeem", {**run, **digest}, {}),
        GATE: ("gate/decisions", {**place, **artifact, **run}, awaited),
        START: ("deployments", {"phase": "start", **report}, {}),
        END: ("deployments", {"phase": "finish", "outcome": "succeeded", **report}, {}),
    }
    return {
        kind: {"url": f"{root}/{path}", "method": "POST", "sensitiveHeaders": headers, "payload": payload, **more}
        for kind, (path, payload, more) in found.items()
    }
