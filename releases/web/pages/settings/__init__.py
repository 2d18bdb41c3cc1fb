"""Settings: one line per section. The doors are the same for all of them (see ``doors``)."""

from django.utils.translation import gettext_lazy as _

from releases.web.pages.settings import (
    bindings,
    channels,
    connections,
    customers,
    delegations,
    dependencies,
    environments,
    machines,
    people,
    roles,
    routes,
    services,
    teams,
)
from releases.web.pages.settings.section import Elsewhere, Section

SECTIONS: dict[str, Section] = {
    section.slug: section
    for section in (
        people.SECTION,
        teams.SECTION,
        roles.SECTION,
        delegations.SECTION,
        machines.SECTION,
        channels.SECTION,
        services.SECTION,
        environments.SECTION,
        dependencies.SECTION,
        customers.SECTION,
        connections.SECTION,
        bindings.SECTION,
        routes.SECTION,
    )
}

# Pages of the settings with views of their own.
ELSEWHERE: tuple[Elsewhere, ...] = (
    Elsewhere(
        "import",
        _("Import"),
        _("Services, dependencies and customers from Backstage, Kubernetes manifests or CSV."),
        "wires",
        "import",
    ),
    Elsewhere(
        "policies",
        _("Policies"),
        _("Who must approve what, and how they prove who they are: in force, proposed, and before."),
        "rules",
        "policies",
    ),
    Elsewhere(
        "tables",
        _("Tables"),
        _("Everything as it is stored, to read only, for whoever may give rights."),
        "rules",
        "admin:index",
    ),
    Elsewhere(
        "configuration",
        _("Configuration"),
        _("Everything under settings as one file: read it out, see what another would do, apply it."),
        "rules",
        "configuration",
    ),
)
