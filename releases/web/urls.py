"""Addresses of the pages; a URL name, its template, its fragment and its element id use the same word."""

from releases.web import sign_in

urlpatterns = [
    *sign_in.urlpatterns,
]
