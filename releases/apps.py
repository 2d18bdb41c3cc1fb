"""The one Django app."""

from django.apps import AppConfig


class ReleasesConfig(AppConfig):
    """Names the app; every room's tables live under this label."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "releases"
