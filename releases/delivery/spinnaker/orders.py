"""What an order needs of a pipeline, and what a reference of Gate tells: pure, without a call."""

import base64
import json
import re
from datetime import datetime

from releases.core.errors import Sentence, Unreachable
from releases.core.http import Reply
from releases.core.words import mark as _
from releases.delivery.ports import Order, Parameter, Target
from releases.delivery.spinnaker import executions, tasks
from releases.delivery.spinnaker.client import SHAPE, Json, failure

REF = re.compile(r"/?((?:pipelines|tasks)/[A-Za-z0-9-]+)$")
ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}$")
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
OPTIONS = {"via", "artifacts"}


def parted(job: str) -> tuple[str, str]:
    """Return application and pipeline of ``application/pipeline name``; only the first slash parts them."""
    application, _slash, name = job.partition("/")
    return application, name


def permit_id(permit: str) -> str:
    """Return the id in a permit, for stages that can address the gate but cannot take a permit apart; else nothing."""
    try:
        payload = permit.split(".")[1]
        return str(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))["jti"])
    except (IndexError, ValueError, KeyError, TypeError):
        return ""


def told_at(ref: str) -> datetime | None:
    """Return when a reference was given, which stands in its first ten letters, by Gate's clock."""
    found = ULID.search(ref)
    if found is None:
        return None
    milliseconds = 0
    for letter in found[0][:10]:
        milliseconds = milliseconds * 32 + ALPHABET.index(letter)
    return executions.moment(milliseconds)


def trigger_of(order: Order, via: str) -> Json:
    """Return the request that starts a pipeline; what Echo has no place for would be lost on its way."""
    target = order.target
    own = {target.key_parameter: order.key, target.permit_parameter: order.permit}
    own[f"{target.permit_parameter}_ID"] = permit_id(order.permit)
    body: Json = {"type": "manual", "correlationId": order.key, "parameters": {**target.parameters, **own}}
    return {**body, "artifacts": target.options.get("artifacts", []), "dryRun": False} if via else body


def reference(reply: Reply, statuses: set[int]) -> str:
    """Return what the answer to an order leads to.

    :raises Unreachable: there is no reference in it, so whether it started is not known
    """
    if reply.status not in statuses:
        raise failure(reply)
    found = REF.match(str(reply.json()["ref"]))
    if found is None:
        raise Unreachable(Sentence(SHAPE))
    return found[1]


def parameter(one: Json) -> Parameter:
    """Return one parameter that a pipeline declares."""
    choices = tuple(str(each["value"]) for each in one.get("options") or []) if one.get("hasOptions") else ()
    return Parameter(str(one["name"]), str(one.get("default") or ""), choices, bool(one.get("required")))


def absent(job: str) -> Sentence:
    """Return that there is no such pipeline."""
    application, name = parted(job)
    text = _("Spinnaker has no pipeline %(name)s in the application %(application)s, or the account may not read it.")
    return Sentence(text, {"name": name, "application": application})


def hindrances(config: Json, target: Target) -> list[Sentence]:
    """Return every reason why a pipeline cannot take our orders."""
    declared = {one["name"]: parameter(one) for one in config.get("parameterConfig") or []}
    found = tasks.unknown(target, OPTIONS)
    parts = {"job": target.job}
    if target.options.get("via", "v2") != "v2":
        found.append(Sentence(_("The option via is v2, or left out."), {}))
    if config.get("disabled"):
        found.append(Sentence(_("The pipeline %(job)s is disabled in Spinnaker. Enable it."), parts))
    for name in (target.key_parameter, target.permit_parameter, *target.parameters):
        definition = declared.get(name)
        if definition is None:
            text = _("The pipeline %(job)s does not declare the parameter %(name)s. Add it.")
            found.append(Sentence(text, {**parts, "name": name}))
        elif definition.choices and name in target.parameters and target.parameters[name] not in definition.choices:
            text = _("The pipeline %(job)s does not allow %(value)s for its parameter %(name)s.")
            found.append(Sentence(text, {**parts, "name": name, "value": target.parameters[name]}))
    given = {target.key_parameter, target.permit_parameter, f"{target.permit_parameter}_ID", *target.parameters}
    for one in declared.values():
        if one.is_required and not one.default and one.name not in given:
            text = _("The pipeline %(job)s requires the parameter %(name)s. Bind a value to it.")
            found.append(Sentence(text, {**parts, "name": one.name}))
    return found
