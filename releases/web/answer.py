"""Answer with a whole page, or with the part of it that was asked for."""

import re
from hashlib import sha256
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string

from releases.core import clock
from releases.web.request import Request
from releases.web.shell import shell

# What differs between two renderings of the same state: the masked token, and how long ago something was.
_UNSTEADY = re.compile(r'(?<=name="csrfmiddlewaretoken" value=")[^"]*|(?<=data-relative>)[^<]*|(?<=data-elapsed>)[^<]*')


def page(
    request: Request, template: str, context: dict[str, Any], *, here: str = "", status: int = 200
) -> HttpResponse:
    """Answer with the whole page inside its shell; ``here`` names the place in the rail."""
    frame = shell(request.actor, here=here, now=clock.now())
    return HttpResponse(render_to_string(template, {**context, "shell": frame}, request=request), status=status)


def part(request: HttpRequest, template: str, context: dict[str, Any], *, status: int = 200) -> HttpResponse:
    """Answer with one named part (``"changes/change.html#decision"``); 304 when the reader has exactly this already."""
    html = render_to_string(template, context, request=request)
    if request.method != "GET" or status != 200:
        return HttpResponse(html, status=status)
    tag = f'"{sha256(_UNSTEADY.sub("", html).encode()).hexdigest()[:32]}"'
    if request.headers.get("If-None-Match") == tag:
        return HttpResponse(status=304, headers={"ETag": tag})
    return HttpResponse(html, headers={"ETag": tag})
