"""New change: ask well. One form for a new draft and for every later edit."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from django import forms
from django.contrib import messages
from django.core.validators import URLValidator
from django.http import HttpResponse, HttpResponseRedirect, QueryDict
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext as now_in_words
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from releases.accounts.rights import Right
from releases.accounts.services import require
from releases.catalog import queries as catalog
from releases.changes import pace, queries, services
from releases.changes.models import ChangeRequest
from releases.changes.services import ChangeDraft, ItemDraft
from releases.changes.states import ChangeType, MigrationClass, State
from releases.core import clock
from releases.core.errors import GmudError, Invalid, Sentence
from releases.core.words import mark
from releases.web import looks
from releases.web.answer import page, part
from releases.web.errors import Trouble, trouble_of
from releases.web.looks import Look, Words
from releases.web.preview import Ready, preview
from releases.web.request import Request, shows_again, signed_in
from releases.web.tags import say

TEMPLATE = "new/new.html"
MOST_ITEMS = 20
MOST_DIGITS = 10
ITEM_FIELDS = ("service", "environment", "version", "digest", "back_version", "back_digest", "migration_class")
ITEM = re.compile(rf"items-(\d{{1,3}})-({'|'.join(ITEM_FIELDS)})")
INPUT_MOMENT = "%Y-%m-%dT%H:%M"
SUBMIT = "submit"
TYPES = (ChangeType.NORMAL, ChangeType.STANDARD, ChangeType.EMERGENCY, ChangeType.RETROACTIVE)
MIGRATIONS: tuple[tuple[str, Words], ...] = (
    (MigrationClass.NONE, _("Nothing changes")),
    (MigrationClass.EXPAND, _("Only adds")),
    (MigrationClass.CONTRACT, _("Removes something")),
    (MigrationClass.IRREVERSIBLE, _("Cannot be undone")),
)


class ChangeForm(forms.Form):
    """The shape of the fields; what they mean is checked by the service."""

    title = forms.CharField(max_length=150, required=False)
    why = forms.CharField(max_length=10000, required=False)
    type = forms.ChoiceField(choices=[(one.value, one.value) for one in TYPES])
    plan = forms.CharField(max_length=20000, required=False)
    steps = forms.CharField(max_length=1000, required=False)
    tests_passed = forms.IntegerField(min_value=0, max_value=10_000_000, required=False)
    tests_failed = forms.IntegerField(min_value=0, max_value=10_000_000, required=False)
    tests_url = forms.CharField(max_length=500, required=False, validators=[URLValidator(schemes=["http", "https"])])
    starts_at = forms.DateTimeField(required=False)
    ends_at = forms.DateTimeField(required=False)
    seen_digest = forms.CharField(max_length=71, required=False)

    def clean_steps(self) -> tuple[pace.Step, ...]:
        """Return the steps that were written; nothing written is the usual pace."""
        steps, wrong = pace.read(self.cleaned_data["steps"])
        if wrong:
            raise forms.ValidationError([say(one) for one in wrong[pace.FIELD]])
        return steps


@dataclass(frozen=True, slots=True)
class ItemForm:
    """One item as it stands in the form."""

    index: int
    values: Mapping[str, str]
    errors: Mapping[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Choices:
    """What the select fields offer."""

    services: tuple[tuple[str, str], ...]
    environments: tuple[tuple[str, str], ...]
    migrations: tuple[tuple[str, Words], ...] = MIGRATIONS


@dataclass(frozen=True, slots=True)
class New:
    """The whole page; ``number`` is empty until the draft is saved."""

    number: int | None
    name: str
    action: str
    values: Mapping[str, str]
    errors: Mapping[str, list[str]]
    items: tuple[ItemForm, ...]
    types: tuple[tuple[str, Look], ...]
    saved_at: datetime | None
    seen_digest: str
    voids_votes: bool


@dataclass(frozen=True, slots=True)
class Posted:
    """What the form carries: plain values for showing again, and the draft for the service."""

    form: ChangeForm
    items: tuple[ItemForm, ...]
    draft: ChangeDraft


def read(data: QueryDict) -> Posted:
    """Return what was posted; items left wholly empty are left out, fields that cannot be read stay empty."""
    form = ChangeForm(data)
    form.is_valid()
    given = form.cleaned_data
    items = tuple(item for item in _items(data) if any(item.values[name] for name in ITEM_FIELDS[:-1]))
    draft = ChangeDraft(
        title=given.get("title", ""),
        why=given.get("why", ""),
        type=given.get("type") or ChangeType.NORMAL,
        plan=given.get("plan", ""),
        steps=given.get("steps", ()),
        items=tuple(_item_draft(item) for item in items),
        tests_passed=given.get("tests_passed"),
        tests_failed=given.get("tests_failed"),
        tests_url=given.get("tests_url", ""),
        starts_at=given.get("starts_at"),
        ends_at=given.get("ends_at"),
    )
    return Posted(form, items, draft)


def _items(data: QueryDict) -> list[ItemForm]:
    found: dict[int, dict[str, str]] = {}
    for name in data:
        if match := ITEM.fullmatch(name):
            found.setdefault(int(match[1]), {})[match[2]] = data.get(name, "").strip()[:200]
    return [
        ItemForm(index, {name: values.get(name, "") for name in ITEM_FIELDS})
        for index, values in sorted(found.items())[:MOST_ITEMS]
    ]


def _item_draft(item: ItemForm) -> ItemDraft:
    values = {name: item.values[name] for name in ITEM_FIELDS}
    known = values["migration_class"] in set(MigrationClass)
    return ItemDraft(**{**values, "migration_class": values["migration_class"] if known else MigrationClass.NONE})


def _posted_values(data: QueryDict) -> dict[str, str]:
    return {name: data.get(name, "") for name in ChangeForm.base_fields}


def _saved_values(row: ChangeRequest) -> dict[str, str]:
    tests = row.test_evidence
    return {
        "title": row.title,
        "why": row.why,
        "type": row.type,
        "plan": row.plan,
        "steps": pace.written(pace.pace_of(row.steps)),
        "tests_passed": str(tests.get("passed", "")),
        "tests_failed": str(tests.get("failed", "")),
        "tests_url": tests.get("url", ""),
        "starts_at": _for_input(row.starts_at),
        "ends_at": _for_input(row.ends_at),
    }


def _for_input(at: datetime | None) -> str:
    return timezone.localtime(at).strftime(INPUT_MOMENT) if at else ""


def _saved_items(row: ChangeRequest) -> tuple[ItemForm, ...]:
    return tuple(
        ItemForm(
            index,
            {
                "service": item.service,
                "environment": item.environment,
                "version": item.version,
                "digest": item.digest,
                "back_version": item.back_version,
                "back_digest": item.back_digest,
                "migration_class": item.migration_class,
            },
        )
        for index, item in enumerate(queries.card(row).items)
    )


def _saved_draft(row: ChangeRequest, items: tuple[ItemForm, ...]) -> ChangeDraft:
    tests = row.test_evidence
    return ChangeDraft(
        title=row.title,
        why=row.why,
        type=row.type,
        plan=row.plan,
        items=tuple(_item_draft(item) for item in items),
        tests_passed=tests.get("passed"),
        tests_failed=tests.get("failed"),
        tests_url=tests.get("url", ""),
        starts_at=row.starts_at,
        ends_at=row.ends_at,
    )


def _choices() -> Choices:
    none = ("", "—")
    return Choices(
        services=(none, *((one.name, one.name) for one in catalog.services())),
        environments=(none, *((one.name, one.name) for one in catalog.environments())),
    )


def _show(
    request: Request,
    row: ChangeRequest | None,
    *,
    values: Mapping[str, str],
    items: tuple[ItemForm, ...],
    ready: Ready,
    errors: Mapping[str, list[str]] | None = None,
    trouble: Trouble | None = None,
    status: int = 200,
) -> HttpResponse:
    blank = ItemForm(0, dict.fromkeys(ITEM_FIELDS, ""))
    new = New(
        number=row.number if row else None,
        name=row.name if row else "",
        action=reverse("edit-change", args=[row.number]) if row else reverse("new-change"),
        values=values,
        errors=errors or {},
        items=items or (blank,),
        types=tuple((one.value, looks.TYPES[one]) for one in TYPES),
        saved_at=row.updated_at if row else None,
        seen_digest=values.get("seen_digest") or (row.content_digest if row else ""),
        voids_votes=bool(row and row.state != State.DRAFT),
    )
    context = {"new": new, "ready": ready, "choices": _choices(), "trouble": trouble}
    return page(request, TEMPLATE, context, here="changes", status=status)


def _row(number: int | None) -> ChangeRequest | None:
    return queries.by_number(number) if number else None


def _posted_again(
    request: Request,
    number: int | None,
    posted: Posted,
    *,
    errors: Mapping[str, list[str]],
    item_errors: Mapping[int, Mapping[str, list[str]]],
    trouble: Trouble | None = None,
    status: int = 422,
) -> HttpResponse:
    row = _row(number)
    items = tuple(ItemForm(one.index, one.values, item_errors.get(at, {})) for at, one in enumerate(posted.items))
    ready = preview(posted.draft, saved=row, actor=request.actor, now=clock.now())
    values = _posted_values(request.POST)
    return _show(request, row, values=values, items=items, ready=ready, errors=errors, trouble=trouble, status=status)


def _again(request: Request, error: GmudError, number: int | None = None, **_kwargs: object) -> HttpResponse:
    """Show the form again with what the service found wrong."""
    posted = read(request.POST)
    errors: dict[str, list[str]] = {}
    item_errors: dict[int, dict[str, list[str]]] = {}
    if isinstance(error, Invalid):
        for name, many in error.fields.items():
            match = re.fullmatch(r"items\.(\d+)\.(\w+)", name)
            told = [say(one) for one in many]
            if name.startswith(f"{pace.FIELD}."):
                line = Sentence(mark("Step %(n)s:"), {"n": int(name.split(".")[1]) + 1})
                errors.setdefault(pace.FIELD, []).extend(f"{say(line)} {one}" for one in told)
            elif match:
                item_errors.setdefault(int(match[1]), {})[match[2]] = told
            else:
                errors[name] = told
    trouble = None if errors or item_errors else trouble_of(error)
    status = 422 if isinstance(error, Invalid) else error.status
    return _posted_again(
        request, number, posted, errors=errors, item_errors=item_errors, trouble=trouble, status=status
    )


def _save(request: Request, row: ChangeRequest | None, posted: Posted) -> ChangeRequest:
    if row is None:
        return services.draft(actor=request.actor, fields=posted.draft, now=clock.now())
    return services.revise(
        change_id=row.pk,
        actor=request.actor,
        fields=posted.draft,
        now=clock.now(),
        seen_digest=posted.form.cleaned_data.get("seen_digest", ""),
    )


def _edit(request: Request, number: int | None) -> HttpResponse:
    row = _row(number)
    if request.method == "GET":
        items = _saved_items(row) if row else ()
        draft = _saved_draft(row, items) if row else ChangeDraft()
        ready = preview(draft, saved=row, actor=request.actor, now=clock.now())
        values = _saved_values(row) if row else {"type": ChangeType.NORMAL}
        return _show(request, row, values=values, items=items, ready=ready)
    posted = read(request.POST)
    if posted.form.errors:
        errors = {name: [str(one) for one in many] for name, many in posted.form.errors.items()}
        return _posted_again(request, number, posted, errors=errors, item_errors={})
    saved = _save(request, row, posted)
    if request.POST.get("then") == SUBMIT:
        # The browser posts on to the act itself: should the rules refuse it, the draft is saved all the same.
        address = reverse("act", args=[saved.number, SUBMIT])
        return HttpResponse(status=307, headers={"Location": address})
    messages.success(request, now_in_words("%(name)s is saved as a draft.") % {"name": saved.name})
    return HttpResponseRedirect(reverse("edit-change", args=[saved.number]))


@require_http_methods(["GET", "POST"])
@signed_in
@shows_again(_again)
def new_change(request: Request) -> HttpResponse:
    """Show the empty form; save what was written as a draft."""
    require(request.actor, Right.CHANGE_FILE)
    return _edit(request, None)


@require_http_methods(["GET", "POST"])
@signed_in
@shows_again(_again)
def edit_change(request: Request, number: int) -> HttpResponse:
    """Show a change in the form; save it as a new revision's content."""
    require(request.actor, Right.CHANGE_FILE)
    return _edit(request, number)


@require_POST
@signed_in
def check_change(request: Request) -> HttpResponse:
    """Look at what is written so far; nothing is saved."""
    require(request.actor, Right.CHANGE_FILE)
    number = request.POST.get("number", "")
    row = _row(int(number)) if number.isdecimal() and len(number) < MOST_DIGITS else None
    ready = preview(read(request.POST).draft, saved=row, actor=request.actor, now=clock.now())
    return part(request, "new/checked.html", {"ready": ready})


@require_GET
@signed_in
def new_item(request: Request) -> HttpResponse:
    """Return one more empty item for the form."""
    require(request.actor, Right.CHANGE_FILE)
    used = [item.index for item in _items(request.GET)]
    index = max(used, default=-1) + 1
    if index >= MOST_ITEMS:
        return HttpResponse(status=204)
    item = ItemForm(index, dict.fromkeys(ITEM_FIELDS, ""))
    return part(request, "new/item.html", {"item": item, "choices": _choices()})


urlpatterns = [
    path("changes/new", new_change, name="new-change"),
    path("changes/new/check", check_change, name="check-change"),
    path("changes/new/item", new_item, name="new-item"),
    path("changes/<int:number>/edit", edit_change, name="edit-change"),
]
