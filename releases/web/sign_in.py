"""Sign in, sign in again before a vote of weight, sign out."""

from typing import Any

from django import forms
from django.contrib.auth import views as auth
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render, resolve_url
from django.urls import path
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from releases.core import clock
from releases.web.request import METHODS, SIGNED_IN_AT, Request, signed_in


class SignInForm(AuthenticationForm):
    """User name and password."""

    error_messages = {
        "invalid_login": _("User name and password do not belong together. Try again."),
        "inactive": _("This account is closed. Ask an owner."),
    }


class AgainForm(forms.Form):
    """The password once more."""

    password = forms.CharField(strip=False)


class SignIn(auth.LoginView):
    """The way in."""

    template_name = "sign_in/sign_in.html"
    authentication_form = SignInForm
    redirect_authenticated_user = True

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Remember when and how this person proved who they are."""
        response = super().form_valid(form)
        _note(self.request)
        return response

    def form_invalid(self, form: AuthenticationForm) -> HttpResponse:
        """Show the form again with what is wrong."""
        return self.render_to_response(self.get_context_data(form=form), status=422)


def _note(request: HttpRequest) -> None:
    request.session[SIGNED_IN_AT] = clock.now().isoformat()
    request.session[METHODS] = ["password"]


def _way_on(request: HttpRequest) -> str:
    where = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(where, {request.get_host()}, require_https=request.is_secure())
    return where if safe else resolve_url("today")


@require_http_methods(["GET", "POST"])
@signed_in
def again(request: Request) -> HttpResponse:
    """Ask for the password once more, because what follows needs a fresh sign-in."""
    form = AgainForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        if request.user.check_password(form.cleaned_data["password"]):
            request.session.cycle_key()
            _note(request)
            return HttpResponseRedirect(_way_on(request))
        form.add_error("password", _("This is not your password. Try again."))
    context: dict[str, Any] = {"form": form, "next": _way_on(request)}
    return render(request, "sign_in/again.html", context, status=422 if form.errors else 200)


urlpatterns = [
    path("sign-in", SignIn.as_view(), name="sign-in"),
    path("sign-in/again", again, name="sign-in-again"),
    path("sign-out", auth.LogoutView.as_view(), name="sign-out"),
]
