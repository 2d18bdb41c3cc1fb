"""Every address of the house."""

from django.urls import URLPattern, URLResolver, include, path
from django.views.i18n import set_language

handler400 = "releases.web.errors.bad_request"
handler403 = "releases.web.errors.forbidden"
handler404 = "releases.web.errors.not_found"
handler500 = "releases.web.errors.broken"

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("releases.web.urls")),
    path("api/", include("releases.api.urls")),
    path("language", set_language, name="set_language"),
]
