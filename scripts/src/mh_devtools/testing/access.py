"""What the tests of access control share: one caller for each role, and calls of every route."""

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from fastapi import FastAPI
from mh_common.auth.roles import Scope
from mh_common.web.access import DeclaredRoute, declared_routes

PASSWORD: Final = "correct horse battery staple"  # noqa: S105 - of accounts that live as long as a test
ABSENT: Final = "9999999"
ABSENT_UUID: Final = "00000000-0000-4000-8000-000000000000"


class RouteCall(NamedTuple):
    """A request without a body to one method of a route, whose path parameters name nothing that exists."""

    method: str
    path: str
    route: DeclaredRoute

    @property
    def scopes(self) -> frozenset[Scope] | None:
        """See `DeclaredRoute.scopes`."""
        return self.route.scopes


def every_call(app: FastAPI, without: Sequence[str] = ()) -> Iterator[RouteCall]:
    """Yield a call of each method of each route, but not of the paths in `without`."""
    for route in declared_routes(app):
        for method in route.methods:
            if route.path not in without:
                yield RouteCall(method, _filled(route.path), route)


def _filled(path: str) -> str:
    filled = re.sub(r"\{answer_id\}", ABSENT_UUID, path)
    return re.sub(r"\{\w+(:path)?\}", ABSENT, filled)
