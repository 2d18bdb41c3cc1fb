"""Every table as it is stored, to read only: the admin walks past every rule, so nothing is written here.

It is for whoever looks for the cause of something odd, and may give every right anyway. Secrets are left out, sealed
and hashed ones, too; so are tables whose key has several columns, which the admin cannot show.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from django.apps import apps
from django.contrib import admin
from django.db.models import CharField, CompositePrimaryKey, Field, Model, TextField
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import URLPattern, URLResolver
from django.views.decorators.cache import never_cache

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.web.request import Request, recognised

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Model]
else:
    ModelAdmin = admin.ModelAdmin  # it takes no brackets when it runs

LEFT_OUT: Mapping[str, frozenset[str]] = {
    "ApiClient": frozenset({"secret_hash"}),
    "Callback": frozenset({"url"}),
    "Channel": frozenset({"path", "previous_box", "secret_box"}),
    "Connection": frozenset({"secret_box", "hint_box"}),
    "Session": frozenset({"key"}),
    "User": frozenset({"password"}),
}
RIGHTS = (Right.AUDIT_READ, Right.PEOPLE_EDIT)
COLUMNS = 7  # of a list
KEPT = frozenset({"index", "app_list", "jsi18n"})  # no sign-in and no change of password past our own


class Tables(admin.AdminSite):
    """The admin behind our own door."""

    def admin_view(self, view: Callable[..., Any], cacheable: bool = False) -> Any:  # noqa: FBT001, FBT002  # as Django calls it
        """Let in whoever reads the record and may give every right.

        :raises NotPermitted: everybody else
        """

        @recognised
        def door(request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
            for right in RIGHTS:
                require(request.actor, right)
            answer: HttpResponseBase = view(request, *args, **kwargs)
            return answer

        return never_cache(door)

    def has_permission(self, request: HttpRequest) -> bool:
        """Say yes: the door was passed."""
        return True

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Return the addresses of lists and rows."""
        return [one for one in super().get_urls() if isinstance(one, URLResolver) or one.name in KEPT]


class Table(ModelAdmin):
    """One table: a list and its rows."""

    actions = None

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> Any:
        """Return what a row shows."""
        return [field.name for field in (*self._shown(), *self.model._meta.many_to_many)]

    def get_list_display(self, request: HttpRequest) -> Any:
        """Return the columns of the list."""
        return [field.name for field in self._shown()[:COLUMNS]]

    def get_search_fields(self, request: HttpRequest) -> list[str]:
        """Return what is searched."""
        return [field.name for field in self._shown() if isinstance(field, CharField | TextField)]

    def _shown(self) -> list["Field[Any, Any]"]:
        left_out = LEFT_OUT.get(self.model.__name__, frozenset())
        return [field for field in self.model._meta.concrete_fields if field.name not in left_out]

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Say yes: the door was passed."""
        return True

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Say yes: the door was passed."""
        return True

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Add nothing past the services."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Change nothing past the services."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Delete nothing past the services."""
        return False


tables = Tables(name="admin")
for _model in apps.get_app_config("releases").get_models():
    if not isinstance(_model._meta.pk, CompositePrimaryKey):
        tables.register(_model, Table)
