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
    match_subclasses = True
    name = "token"

    def get_security_definition(self, _auto_schema: AutoSchema) -> dict[str, str]:
        """Return the scheme as OpenAPI has it."""
        return {"type": "http", "scheme": "bearer", "description": "A token of a machine; an owner issues it."}


class HookScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library has no types
    """Describes the token as a password, for hooks that can show nothing else."""

    target_class = "releases.api.flagger.HookAuthentication"
    name = "tokenAsPassword"
    priority = 1

    def get_security_requirement(self, _auto_schema: AutoSchema) -> list[dict[str, list[str]]]:
        """Return that the token as everywhere is enough, too."""
        return [{"token": []}, {self.name: []}]

    def get_security_definition(self, _auto_schema: AutoSchema) -> dict[str, str]:
        """Return the scheme as OpenAPI has it."""
        return {"type": "http", "scheme": "basic", "description": "A token of a machine as the password of any user."}


class HintScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]  # the library has no types
    """Describes the secret for hints of a connection, in one of the three ways that systems can show it."""

    target_class = "releases.api.hints.HintAuthentication"
    name = ["hintSecret", "hintPassword", "hintSignature"]

    def get_security_requirement(self, _auto_schema: AutoSchema) -> list[dict[str, list[str]]]:
        """Return that one of them is enough."""
        return [{name: []} for name in self.name]

    def get_security_definition(self, _auto_schema: AutoSchema) -> list[dict[str, str]]:
        """Return the schemes as OpenAPI has them, in the order of their names."""
        signed = "v1,<base64 of HMAC-SHA256> of webhook-id, webhook-timestamp and body, joined by dots."
        return [
            {"type": "http", "scheme": "bearer", "description": "The secret for hints of the connection."},
            {"type": "http", "scheme": "basic", "description": "The same secret as the password of any user."},
            {"type": "apiKey", "in": "header", "name": "webhook-signature", "description": signed},
        ]
