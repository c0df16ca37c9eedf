"""OpenAPI documentation of the routes beyond their types: examples and possible problems."""

from typing import Any, Final

from mh_common.web.documentation import answers, problems

_ELSEWHERE: Final[dict[int | str, dict[str, Any]]] = {
    303: {"description": "See Other", "headers": {"Location": {"schema": {"type": "string"}}}}
}

PROVIDER: Final = answers({"name": "Example Practice"}, 409)
STARTED: Final = {**_ELSEWHERE, **problems(400, 403, 409, 429)}
FINISHED: Final = {**_ELSEWHERE, **problems(400, 401, 403, 409, 429)}
