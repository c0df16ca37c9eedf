"""OpenAPI documentation of the route beyond its types: examples and possible problems."""

from typing import Final

from mh_common.web.documentation import answers

from conversations_api.users.documentation import USER

FIRST: Final = {
    "administrator": {
        "summary": "The first administrator",
        "value": {"token": "mh_set_…", "username": "ann", "password": "choose a long phrase"},
    }
}
SET_UP: Final = answers({**USER, "id": 1, "role": "admin"}, 400, 401, 409, 422, 429, status=201)
