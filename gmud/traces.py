"""OpenTelemetry, where an operator asks for it: with the extra ``otel`` and the standard variables ``OTEL_…``.

They are described at https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/.
"""

from importlib import import_module

from django.core.exceptions import ImproperlyConfigured

from gmud.env import env
from releases.core import tracing

ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


def begin() -> None:
    """Send spans of this process where the variables say, if they say so.

    :raises ImproperlyConfigured: they do, and the extra is not installed
    """
    asked = next((name for name in ENDPOINTS if env.str(name, default="")), "")
    if not asked:
        return
    try:
        otel = import_module("gmud.otel")
    except ImportError as error:
        said = f"{asked} is set, but OpenTelemetry is not installed: add the extra, gmud[otel]."
        raise ImproperlyConfigured(said) from error
    tracing.install(otel.opener(env.str("OTEL_SERVICE_NAME", default="gmud")))
