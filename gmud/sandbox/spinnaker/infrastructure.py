"""What Gate tells of what runs: server groups, the targets among them, manifests."""

from gmud.sandbox.server import Answer, json_answer
from gmud.sandbox.spinnaker import words
from gmud.sandbox.spinnaker.clouds import Absent, Clouds, Refused
from gmud.sandbox.spinnaker.models import Json, ServerGroup
from gmud.sandbox.spinnaker.requests import Request


def managers(clouds: Clouds, request: Request) -> Answer:
    """Answer with the Deployments and their ReplicaSets."""
    try:
        return json_answer(clouds.managers())
    except Refused as error:
        raise request.refuse(500, str(error)) from error


def groups(clouds: Clouds, _request: Request) -> Answer:
    """Answer with every server group."""
    regions = clouds.groups.items()
    return json_answer([_group(*region, one) for region, groups in regions for one in groups])


def target(clouds: Clouds, request: Request) -> Answer:
    """Answer with the server group that a target names."""
    _app, account, cluster, _provider, region = (request.parts[number] for number in (1, 3, 4, 5, 6))
    try:
        enabled = request.call.first("onlyEnabled") == "true"
        one = clouds.target((account, cluster, region), request.parts[9], only_enabled=enabled)
    except Absent as error:
        raise request.refuse(404, str(error)) from error
    return json_answer(_group(account, cluster, region, one))


def manifest(clouds: Clouds, request: Request) -> Answer:
    """Answer with a Deployment, or one of its ReplicaSets."""
    account, namespace, full = request.parts[1:]
    kind, _, name = full.partition(" ")
    try:
        found = clouds.manifest(namespace, kind, name)
    except Absent as error:
        raise request.refuse(404, str(error)) from error
    except Refused as error:
        raise request.refuse(500, str(error)) from error
    status = {
        "stable": {"state": True},
        "failed": {"state": False},
        "paused": {"state": False},
        "available": {"state": True},
    }
    return json_answer(
        {"account": account, "manifest": found, "name": full, "status": status, "moniker": {}, "artifacts": []}
    )


def _group(account: str, cluster: str, region: str, one: ServerGroup) -> Json:
    return {
        "name": one.name,
        "account": account,
        "cluster": cluster,
        "region": region,
        "isDisabled": not one.enabled,
        "createdTime": words.millis(one.created),
        "image": {"name": one.image},
        "capacity": {"min": one.size, "max": one.size, "desired": one.size},
    }
