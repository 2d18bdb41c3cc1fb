"""Addresses of the way in and out; two of them carry allauth's names beside ours, because it sends people there."""

from django.urls import path

from releases.web.sign_in import door, passkeys, provider_door

urlpatterns = [
    path("sign-in", door.sign_in, name="sign-in"),
    path("sign-in", door.sign_in, name="account_login"),
    path("sign-in/second", door.second, name="mfa_authenticate"),
    path("sign-in/again", door.again, name="sign-in-again"),
    path("sign-in/passkey", passkeys.sign_in, name="sign-in-passkey"),
    path("sign-in/passkey/asked", passkeys.asked, name="sign-in-passkey-asked"),
    path("sign-in/provider", provider_door.leave, name="sign-in-provider"),
    path("sign-in/provider/back", provider_door.back, name="sign-in-provider-back"),
    path("sign-out", door.sign_out, name="sign-out"),
]
