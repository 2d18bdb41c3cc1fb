"""The one Django app."""

from django.apps import AppConfig


class ReleasesConfig(AppConfig):
    """Names the app; every room's tables live under this label."""

    default_auto_field = "django.db.models.BigAutoField"
    name = "releases"

    def ready(self) -> None:
        """Tell rooms what they are to ask of those above, which they do not know.

        The catalogue: who goes by the name of an environment. The record: which other tables are only added to.
        """
        from releases.audit import guards  # noqa: PLC0415 - models are there only now
        from releases.catalog.services.uses import SPEAKS_OF  # noqa: PLC0415 - the same
        from releases.committee.services import policies_naming  # noqa: PLC0415 - the same
        from releases.traffic import ledger  # noqa: PLC0415 - the same

        guards.BESIDE.update(ledger.KEYS)
        SPEAKS_OF.append(policies_naming)
