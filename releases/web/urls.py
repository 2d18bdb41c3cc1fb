"""Addresses of the pages; a URL name, its template, its fragment and its element id use the same word."""

from releases.web import shell, sign_in
from releases.web.pages import catalog, change, changes, gate, live, new, progress, today

# What waits at each place; the frame is below the pages, so the pages tell it how to count.
shell.COUNTS.update({"today": today.count, "live": progress.count})

urlpatterns = [
    *sign_in.urlpatterns,
    *today.urlpatterns,
    *changes.urlpatterns,
    *new.urlpatterns,
    *change.urlpatterns,
    *gate.urlpatterns,
    *live.urlpatterns,
    *catalog.urlpatterns,
]
