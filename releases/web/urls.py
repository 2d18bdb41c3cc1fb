"""Addresses of the pages; a URL name, its template, its fragment and its element id use the same word."""

from releases.web import sign_in
from releases.web.pages import catalog, change, changes, gate, live, new, today

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
