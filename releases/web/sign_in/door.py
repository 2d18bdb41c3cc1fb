"""Sign in, give the second factor, sign in again before a vote of weight, sign out."""

from allauth.account.adapter import get_adapter
from allauth.account.stages import LoginStageController
from allauth.mfa.stages import AuthenticateStage
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, resolve_url
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from releases.accounts import services
from releases.accounts.limits import TooMany
from releases.accounts.models import User
from releases.accounts.services.proving import Unproved
from releases.core import clock
from releases.core.errors import Sentence
from releases.core.words import mark as _
from releases.web.request import Request, recognised
from releases.web.sign_in import page
from releases.web.sign_in.passkeys import Unfit, passkey_of
from releases.web.sign_in.proofs import enter, note_second, visitor_of, way_on


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """Let somebody in with user name and password, when both belong together."""
    if request.user.is_authenticated:
        return HttpResponseRedirect(way_on(request))
    if request.method == "GET":
        return page.sign_in_page(request)
    form = page.SignInForm(request.POST)
    form.full_clean()
    given = {name: str(form.cleaned_data.get(name, "")) for name in ("username", "password")}
    try:
        account = services.prove_password(**given, visitor=visitor_of(request), now=clock.now())
    except (TooMany, Unproved) as error:
        shown = page.sign_in_page(
            request, username=given["username"], trouble=error.detail, of="password", status=page.status_of(error)
        )
        return page.with_patience(shown, error)
    return enter(request, account, method="password", way_on=way_on(request), username=account.username)


@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
def second(request: HttpRequest) -> HttpResponse:
    """Take the second factor of somebody whose first proof was right a moment ago."""
    stage = LoginStageController.enter(request, AuthenticateStage.key)
    if stage is None:
        return redirect("sign-in")
    account: User = stage.login.user
    if request.method == "GET":
        return page.second_page(request, account)
    try:
        if "credential" in request.POST:
            passkey_of(request, account)
            kind = "webauthn"
        else:
            code = request.POST.get("code", "")[:64]
            kind = services.prove_code(account=account, code=code, visitor=visitor_of(request), now=clock.now())
    except (TooMany, Unproved) as error:
        shown = page.second_page(request, account, trouble=error.detail, status=page.status_of(error))
        return page.with_patience(shown, error)
    note_second(request, account, kind)
    return stage.exit()  # type: ignore[no-any-return]  # allauth carries no types


@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
@recognised
def again(request: Request) -> HttpResponse:
    """Ask who it is once more, because what follows needs a fresh sign-in; the second factor is asked again, too."""
    account = request.user
    if request.method == "GET":
        return page.again_page(request, account)
    visitor, now = visitor_of(request), clock.now()
    try:
        if "credential" in request.POST:
            passkey_of(request, account)
            return enter(request, account, method="mfa", way_on=way_on(request), type="webauthn", passwordless=True)
        password = request.POST.get("password", "")[:4096]
        services.prove_password(username=account.username, password=password, visitor=visitor, now=now)
    except Unfit as error:
        return page.again_page(request, account, trouble=error.detail, status=422)
    except Unproved:
        words = Sentence(_("This is not your password. Try again."))
        return page.again_page(request, account, trouble=words, status=422)
    except TooMany as error:
        return page.with_patience(page.again_page(request, account, trouble=error.detail, status=429), error)
    return enter(request, account, method="password", way_on=way_on(request), username=account.username)


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    """End this session; somebody who is not signed in is already out."""
    get_adapter(request).logout(request)
    return HttpResponseRedirect(resolve_url("sign-in"))
