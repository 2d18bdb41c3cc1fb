"""The one Django app."""

from django.apps import AppConfig


class ReleasesConfig(AppConfig):
    """Names the app; every room's tables live under this label."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "releases"

    def ready(self) -> None:
        """Let the catalogue ask who goes by the name of an environment: the rooms above it, which it does not know."""
        from releases.catalog.services.uses import SPEAKS_OF  # noqa: PLC0415 - models are there only now
        from releases.committee.services import policies_naming  # noqa: PLC0415 - the same

        SPEAKS_OF.append(policies_naming)
