"""Addresses of the pages; a URL name, its template, its fragment and its element id use the same word."""

from django.urls import path

from releases.web import shell
from releases.web.admin import tables
from releases.web.pages import (
    audit,
    board,
    by_hand,
    catalog,
    change,
    changes,
    configuration,
    deployments,
    first_run,
    gate,
    imports,
    live,
    new,
    notices,
    profile,
    progress,
    service_history,
    today,
    told,
    traffic,
)
from releases.web.pages.settings import binding_look, policies
from releases.web.pages.settings import doors as settings
from releases.web.sign_in import urls as sign_in

# What waits at each place; the frame is below the pages, so the pages tell it how to count.
shell.COUNTS.update({"today": today.count, "live": progress.count})
# Where the band of an installation that is being set up stands.
shell.HINTS.update(dict.fromkeys(("today", "settings", "profile"), first_run.hint))

urlpatterns = [
    *sign_in.urlpatterns,
    *today.urlpatterns,
    *first_run.urlpatterns,
    *board.urlpatterns,
    *changes.urlpatterns,
    *new.urlpatterns,
    *change.urlpatterns,
    *gate.urlpatterns,
    *live.urlpatterns,
    *by_hand.urlpatterns,
    *traffic.urlpatterns,
    *deployments.urlpatterns,
    *told.urlpatterns,
    *audit.urlpatterns,
    *service_history.urlpatterns,
    *catalog.urlpatterns,
    *notices.urlpatterns,
    *configuration.urlpatterns,
    *imports.urlpatterns,
    *policies.urlpatterns,
    *binding_look.urlpatterns,
    *settings.urlpatterns,
    *profile.urlpatterns,
    path("tables/", tables.urls),
]
