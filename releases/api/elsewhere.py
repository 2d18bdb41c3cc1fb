"""Every address under ``/api/`` that is none of ours."""

from typing import Any, NoReturn

from rest_framework.exceptions import NotFound
from rest_framework.request import Request
from rest_framework.views import APIView


class Elsewhere(APIView):
    """Answers like any thing that is not there, in the words of the API, whatever the method."""

    schema = None
    authentication_classes = ()
    permission_classes = ()

    def initial(self, request: Request, *_arguments: Any, **_parts: Any) -> NoReturn:
        """Refuse before a method is looked for.

        :raises NotFound: always
        """
        raise NotFound(f"There is nothing at {request.path}: see /api/docs.")
