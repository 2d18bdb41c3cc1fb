"""Settings: one line per section. The doors are the same for all of them (see ``doors``)."""

from releases.web.pages.settings import channels, delegations, machines, people, roles, teams
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
    )
}

# Pages of the settings with views of their own.
ELSEWHERE: tuple[Elsewhere, ...] = ()
