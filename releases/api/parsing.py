"""Read JSON bodies strictly: at most 1 MiB, no double names, no NaN, not too deep; unknown fields are named."""

import json
import math
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework import serializers, status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import BaseParser

DEEPEST = 32
SURROGATES = range(0xD800, 0xE000)


class TooLarge(APIException):
    """The body is larger than we read."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is larger than 1 MiB: send less."
    default_code = "too_large"


class StrictJSONParser(BaseParser):
    """Parses ``application/json``."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        """Return the document.

        :raises TooLarge: the body is larger than the limit
        :raises ParseError: it is not JSON, or JSON that two readers could read differently
        """
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge
        try:
            document = json.loads(body.decode("utf-8"), object_pairs_hook=_once, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise ParseError(f"The body is not valid JSON: {error}") from error
        _check(document, DEEPEST)
        return document


class StrictSerializer(serializers.Serializer[Any]):
    """A plain serializer that refuses fields it does not know, by name."""

    def to_internal_value(self, data: Any) -> Any:
        """Refuse unknown fields before reading the known ones."""
        if isinstance(data, Mapping):
            unknown = sorted(set(data) - {field for field, one in self.fields.items() if not one.read_only})
            if unknown:
                raise serializers.ValidationError({name: ["There is no such field: remove it."] for name in unknown})
        return super().to_internal_value(data)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return document


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _check(value: Any, depth: int) -> None:
    if depth == 0:
        raise ParseError(f"The body is nested deeper than {DEEPEST} levels.")
    if isinstance(value, float) and not math.isfinite(value):
        raise ParseError("A number is too large to be kept: write it smaller.")
    if isinstance(value, str) and ("\x00" in value or any(ord(sign) in SURROGATES for sign in value)):
        raise ParseError("Text contains a NUL character or half a surrogate pair: remove it.")
    if isinstance(value, dict):
        for name, one in value.items():
            _check(name, depth)
            _check(one, depth - 1)
    elif isinstance(value, list):
        for one in value:
            _check(one, depth - 1)
