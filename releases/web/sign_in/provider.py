"""A provider of sign-in as allauth drives it, made stricter: signed, for us, in answer to our request, or not believed.

allauth itself takes an ID token unsigned when it fetched it, sends no nonce, and names people by the provider's place
in its settings. Here the key of a person is the issuer and the subject.
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from allauth.socialaccount.adapter import get_adapter
from allauth.socialaccount.models import SocialLogin, SocialToken
from allauth.socialaccount.providers.openid_connect.provider import OpenIDConnectProvider
from allauth.socialaccount.providers.openid_connect.views import OpenIDConnectOAuth2Adapter
from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse

from releases.accounts.openid import tokens
from releases.accounts.openid.client import WELL_KNOWN, checked, is_safe
from releases.accounts.openid.tokens import Expected, Untrusted
from releases.core import clock

SLUG = "provider"
KIND = "openid_connect"


def nonce_of(verifier: str) -> str:
    """Return the nonce that goes with a PKCE verifier: only who began this sign-in knows what it was made of."""
    digest = hmac.digest(verifier.encode(), b"nonce", sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()


class Exchange(OpenIDConnectOAuth2Adapter):  # type: ignore[misc]  # allauth carries no types
    """From the code that came back to what the provider says of a person."""

    def __init__(self, request: HttpRequest, provider_id: str = SLUG) -> None:
        """Begin with nothing known."""
        super().__init__(request, provider_id)
        self._verifier = ""

    @property
    def openid_config(self) -> dict[str, Any]:
        """Return the provider's description of itself, read once.

        :raises Untrusted: it describes another provider, or addresses that anybody could listen to
        :raises External: the provider did not answer, or may not be called
        """
        if not hasattr(self, "_description"):
            provider = self.get_provider()
            with get_adapter().get_requests_session() as caller:
                answer = caller.get(provider.server_url)
            answer.raise_for_status()
            self._description = checked(answer.json(), issuer=provider.sub_id)
        return self._description

    def get_callback_url(self, request: HttpRequest, app: object) -> str:
        """Return where the provider sends people back: the address people type, whatever the request says."""
        return f"{settings.PUBLIC_URL.rstrip('/')}{reverse('sign-in-provider-back')}"

    def get_access_token_data(
        self, request: HttpRequest, app: object, client: Any, pkce_code_verifier: str | None = None
    ) -> dict[str, Any]:
        """Exchange the code, and remember which request it answers.

        :raises Untrusted: what came is no answer to that
        """
        self._verifier = pkce_code_verifier or ""
        data = super().get_access_token_data(request, app, client, pkce_code_verifier=pkce_code_verifier)
        if not self._verifier or not isinstance(data, dict) or not isinstance(data.get("id_token"), str):
            raise Untrusted("no ID token came")
        return data

    def parse_token(self, data: Mapping[str, Any]) -> SocialToken:
        """Keep nothing but the access token, for this one request."""
        return SocialToken(token=str(data["access_token"]))

    def complete_login(self, request: HttpRequest, app: Any, token: SocialToken, **kwargs: Any) -> SocialLogin:
        """Return whom the provider names, after everything it says was checked.

        :raises Untrusted: one of the checks failed
        :raises External: the provider's keys cannot be had
        """
        provider = self.get_provider()
        with get_adapter().get_requests_session() as caller:
            keys = caller.get(self.openid_config["jwks_uri"])
        keys.raise_for_status()
        expected = Expected(issuer=provider.sub_id, client_id=app.client_id, nonce=nonce_of(self._verifier))
        claims = tokens.check(kwargs["response"]["id_token"], keys.json(), expected, now=clock.now())
        login = provider.sociallogin_from_response(request, claims)
        login.claims = self._completed(claims, token.token)
        return login

    def _completed(self, claims: Mapping[str, Any], access_token: str) -> Mapping[str, Any]:
        """Return the claims, with those of the user info where the token leaves out what we ask for."""
        wanted = {"name", settings.GMUD_OIDC_GROUPS_CLAIM}
        address = self.openid_config.get("userinfo_endpoint")
        if wanted <= claims.keys() or not is_safe(address):
            return claims
        with get_adapter().get_requests_session() as caller:
            answer = caller.get(address, headers={"Authorization": f"Bearer {access_token}"})
        answer.raise_for_status()
        return tokens.joined(claims, answer.json())


class Provider(OpenIDConnectProvider):  # type: ignore[misc]  # allauth carries no types
    """The one provider of this installation."""

    oauth2_adapter_class = Exchange

    @property
    def sub_id(self) -> str:
        """Return what a person's key begins with: the issuer."""
        return str(self.app.settings["issuer"])

    @property
    def server_url(self) -> str:
        """Return where the provider describes itself."""
        return f"{self.sub_id.rstrip('/')}{WELL_KNOWN}"

    def get_pkce_params(self) -> dict[str, str]:
        """Return what binds the answer to this request: the challenge, and the nonce made of the same secret."""
        params = super().get_pkce_params()
        return {**params, "nonce": nonce_of(params["code_verifier"])}

    def extract_uid(self, data: Mapping[str, Any]) -> str:
        """Return the second half of a person's key: the subject."""
        return str(data["sub"])

    def extract_extra_data(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Keep nothing of what a provider says of people."""
        return {}

    def extract_common_fields(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Let allauth fill in nothing: admitting somebody is a service of ours."""
        return {}

    def extract_email_addresses(self, data: Mapping[str, Any]) -> list[object]:
        """Let no address lead to anybody."""
        return []
