"""Passkeys: what the browser is asked, and whether its answer proves who it is. allauth and fido2 do the sums."""

import json
import struct
from base64 import urlsafe_b64decode
from typing import Any
from urllib.parse import urlsplit

from allauth.account.stages import LoginStageController
from allauth.mfa.models import Authenticator
from allauth.mfa.stages import AuthenticateStage
from allauth.mfa.webauthn.internal import auth
from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_POST

from releases.accounts import services
from releases.accounts.limits import Proof, TooMany
from releases.accounts.models import User
from releases.accounts.services.proving import Unproved
from releases.core import clock
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.web.sign_in import page
from releases.web.sign_in.proofs import enter, visitor_of, way_on

LONGEST_ANSWER = 32 * 1024
# What a strange answer makes of those who read it; fido2's reader of CBOR trips over one that is cut off or too deep.
UNFIT = (ValidationError, ValueError, TypeError, AttributeError, LookupError, RecursionError, struct.error)


class Unfit(Unproved):
    """The browser's answer proves nothing here and now."""


@require_POST
def asked(request: HttpRequest) -> JsonResponse:
    """Return what to ask the browser's keeper of passkeys: those of one account when it is known, else any."""
    stage = LoginStageController.enter(request, AuthenticateStage.key)
    account = request.user if request.user.is_authenticated else stage.login.user if stage else None
    return JsonResponse(auth.begin_authentication(account))


@require_POST
def sign_in(request: HttpRequest) -> HttpResponse:
    """Let somebody in with a passkey alone: it holds a secret and asked for a finger, a face or a PIN."""
    try:
        factor = passkey_of(request)
    except (TooMany, Unfit) as error:
        return page.with_patience(page.refused(request, error.detail, status=page.status_of(error)), error)
    return enter(
        request,
        factor.user,
        method="mfa",
        way_on=way_on(request),
        id=factor.pk,
        type=factor.type,
        passwordless=True,
    )


def passkey_of(request: HttpRequest, account: User | None = None) -> Authenticator:
    """Return the passkey that answered the question this browser was asked, of this account when one is given.

    :raises TooMany: too many answers from this address did not fit
    :raises Unfit: the answer is not to be believed, or the question was asked elsewhere or answered before
    """
    visitor, now = visitor_of(request), clock.now()
    attempt = services.begin_attempt(proof=Proof.PASSKEY, account="", visitor=visitor, now=now)
    try:
        answer = answer_of(request)
        auth.parse_authentication_response(answer)
        of = account or auth.extract_user_from_response(answer)
        factor = auth.complete_authentication(of, answer)
    except UNFIT as error:
        auth.clear_state()  # one question, one answer
        services.refuse(proof=Proof.PASSKEY, why="unfit", account=account, visitor=visitor)
        raise Unfit(
            Sentence(_("This passkey does not open this account here. Try again, or another way in."))
        ) from error
    services.forget_attempt(attempt)
    services.note_use(factor=factor, now=now)
    return factor


def answer_of(request: HttpRequest) -> dict[str, Any]:
    """Return what the browser's keeper of passkeys said, when it said it to a page of ours.

    :raises ValueError: it is unreadable, too long, or was said to a page of another origin
    """
    said = request.POST.get("credential", "")
    if len(said) > LONGEST_ANSWER:
        raise ValueError("longer than any passkey's answer")
    try:
        answer = json.loads(said)
        heard = answer["response"]["clientDataJSON"]
        origin = json.loads(urlsafe_b64decode(heard + "=" * (-len(heard) % 4)))["origin"]
    except RecursionError as error:
        raise ValueError("nested deeper than any passkey's answer") from error
    here = urlsplit(settings.PUBLIC_URL)
    if origin not in {f"{here.scheme}://{here.netloc}", f"{request.scheme}://{request.get_host()}"}:
        raise ValueError("said to another origin")  # a sister host could else ask in our name
    return dict(answer)
