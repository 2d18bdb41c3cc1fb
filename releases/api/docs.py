"""The published schema as a page, and what it needs to know beyond the views: how callers prove who they are."""

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.views import SpectacularSwaggerSplitView


class Docs(SpectacularSwaggerSplitView):
    """``/api/docs``: Swagger UI without a line of inline script or style, as our content security policy wants it."""

    authentication_classes = ()
    template_name = "api/docs.html"
    url_name = "api-schema"


class TokenScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library has no types
    """Describes ``Authorization: Bearer gmud_…``."""

    target_class = "releases.api.authentication.TokenAuthentication"
    name = "token"

    def get_security_definition(self, _auto_schema: AutoSchema) -> dict[str, str]:
        """Return the scheme as OpenAPI has it."""
        return {"type": "http", "scheme": "bearer", "description": "A token of a machine; an owner issues it."}
