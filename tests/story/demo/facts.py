"""What anybody can read in a told demo: no ids, no secrets; times count from when it was told.

As a program: tell it by hand, say what came.
"""

import io
import json
import sys
from collections import Counter
from datetime import datetime
from typing import Any


def facts() -> dict[str, Any]:
    """Return the story as plain data that two installations can be compared by."""
    from releases.accounts.models import ApiClient, Person, Team
    from releases.audit.models import AuditEvent
    from releases.catalog.models import Artifact, Binding, Customer, Dependency, Environment, Running, Service
    from releases.changes.models import ChangeRequest
    from releases.committee import queries as committee
    from releases.committee.models import Vote
    from releases.gate.models import GateDecision, Permit
    from releases.health.models import Verdict
    from releases.operations.models import Operation, OutboxMessage
    from releases.rollback.models import Rollback
    from releases.rollout.models import Rollout
    from releases.traffic.models import ShiftEnd

    policy = committee.current_policy()
    told_at = ChangeRequest.objects.latest("number").created_at
    numbers = dict(ChangeRequest.objects.values_list("pk", "number"))

    def since(moment: datetime | None) -> float | None:
        return moment and round((moment - told_at).total_seconds(), 3)

    return {
        "people": sorted((one.name, sorted(one.grants.values_list("role", flat=True))) for one in Person.objects.all()),
        "teams": sorted((one.name, sorted(one.members.values_list("name", flat=True))) for one in Team.objects.all()),
        "machines": sorted((one.name, sorted(one.scopes)) for one in ApiClient.objects.all()),
        "policy": policy.digest if policy else None,
        "environments": sorted(Environment.objects.values_list("name", "kind", "rank")),
        "services": sorted(
            Service.objects.values_list("name", "title", "team__name", "tier", "criticality", "retired_at")
        ),
        "dependencies": sorted(Dependency.objects.values_list("caller__name", "callee__name", "source")),
        "customers": sorted(Customer.objects.values_list("segment", "name", "size", "notice_hours")),
        "bindings": sorted(
            (one.service.name, one.environment.name, one.purpose, json.dumps(one.settings, sort_keys=True))
            for one in Binding.objects.select_related("service", "environment")
        ),
        "running": sorted(
            Running.objects.filter(ended_at=None).values_list(
                "service__name", "environment__name", "artifact__version", "artifact__digest", "change_number"
            )
        ),
        "quarantined": sorted(
            (one.service.name, one.version, since(one.quarantined_at))
            for one in Artifact.objects.exclude(quarantined_at=None).select_related("service")
        ),
        "votes": sorted(
            (numbers[one.subject], one.person.name, one.seat, one.decision, since(one.cast_at))
            for one in Vote.objects.select_related("person")
        ),
        "gate": sorted(
            (one.service, one.environment, one.verdict, one.intent, one.asked_by, since(one.decided_at))
            for one in GateDecision.objects.all()
        ),
        "permits": sorted((numbers[one.change_id], since(one.redeemed_at)) for one in Permit.objects.all()),
        "shifts": sorted(
            (numbers[one.shift.change_id], sorted(one.shift.asked.items()), one.state, since(one.ended_at))
            for one in ShiftEnd.objects.select_related("shift")
        ),
        "verdicts": sorted((numbers[one.change_id], one.health, since(one.judged_at)) for one in Verdict.objects.all()),
        "rollouts": sorted((one.change.number, one.outcome, since(one.ended_at)) for one in Rollout.objects.all()),
        "rollbacks": sorted((one.change.number, one.outcome, since(one.ended_at)) for one in Rollback.objects.all()),
        "work": sorted((numbers[one.subject], one.kind, one.state) for one in Operation.objects.all()),
        "to tell": dict(Counter(OutboxMessage.objects.undone().values_list("kind", flat=True))),
        "changes": [
            {
                "number": one.number,
                "title": one.title,
                "state": one.state,
                "outcome": one.outcome,
                "type": one.type,
                "requester": one.requester.name,
                "times": [since(at) for at in (one.created_at, one.starts_at, one.ends_at, one.closed_at)],
                "risk": (one.assessment.impact, one.assessment.likelihood, one.assessment.level)
                if one.assessment
                else None,
                "seats": one.round.needed if one.round else None,
                "items": list(
                    one.items.values_list("service__name", "environment__name", "artifact__version", "artifact__digest")
                ),
            }
            for one in ChangeRequest.objects.select_related("assessment", "round", "requester").order_by("number")
        ],
        "record": dict(Counter(AuditEvent.objects.values_list("kind", flat=True))),
    }


def main() -> None:
    """Tell the demo into the empty database that the environment names; print what is there, and what a second says."""
    import django

    django.setup()
    from django.core.management import CommandError, call_command

    call_command("migrate", verbosity=0, interactive=False)
    call_command("demo")
    refusal, verified, replayed = "", io.StringIO(), io.StringIO()
    try:
        call_command("demo")
    except CommandError as error:
        refusal = str(error)
    call_command("sealer", "--once")
    call_command("audit", "verify", stdout=verified)
    call_command("audit", "replay", stdout=replayed)
    said = {"facts": facts(), "refusal": refusal, "verified": verified.getvalue(), "replayed": replayed.getvalue()}
    json.dump(said, sys.stdout)


if __name__ == "__main__":
    main()
