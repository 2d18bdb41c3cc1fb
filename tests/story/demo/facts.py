"""What anybody can read in a told demo: no ids, no secrets, no times. As a program: tell it by hand, say what came."""

import io
import json
import sys
from collections import Counter
from typing import Any


def facts() -> dict[str, Any]:
    """Return the story as plain data that two installations can be compared by."""
    from releases.accounts.models import ApiClient, Person, Team
    from releases.audit.models import AuditEvent
    from releases.catalog.models import Binding, Customer, Dependency, Environment, Running, Service
    from releases.changes.models import ChangeRequest
    from releases.committee import queries as committee

    policy = committee.current_policy()
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
                "service__name", "environment__name", "artifact__version", "artifact__digest"
            )
        ),
        "changes": [
            {
                "number": one.number,
                "title": one.title,
                "state": one.state,
                "outcome": one.outcome,
                "risk": (one.assessment.impact, one.assessment.likelihood, one.assessment.level)
                if one.assessment
                else None,
                "seats": one.round.needed if one.round else None,
                "items": list(
                    one.items.values_list("service__name", "environment__name", "artifact__version", "artifact__digest")
                ),
            }
            for one in ChangeRequest.objects.select_related("assessment", "round").order_by("number")
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
