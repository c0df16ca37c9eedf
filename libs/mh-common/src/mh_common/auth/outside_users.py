"""People without an account, for whom a caller acts: each request names them (ADR 65). No I/O."""

import re

from mh_common.auth.principals import Principal
from mh_common.auth.roles import Scope
from mh_common.errors import InvalidRequestError
from mh_common.models import USER_ID_HEADER, USER_ID_PATTERN, FieldProblem


def outside_id(principal: Principal, named: str | None, *others: str | None, field: str = USER_ID_HEADER) -> str | None:
    """Return the id of the person for whom the caller acts; None if it acts for itself.

    What callers say who may not act for others is ignored, whatever it is. Where there are no accounts, everybody may.

    Args:
        principal: the caller.
        named: what the caller says in the platform's own way, such as the header X-User-Id.
        others: what it says in the ways of other tools: the first that is given counts if nothing is said in our own
            way, and if it could be such an id.
        field: where `named` was said.

    Raises:
        InvalidRequestError: `named` counts and is no id.
    """
    if Scope.ON_BEHALF_OF not in principal.scopes:
        return None
    if named is None:
        name = next(filter(None, others), "")
        return name if re.fullmatch(USER_ID_PATTERN, name) else None
    if not re.fullmatch(USER_ID_PATTERN, named):
        wrong = FieldProblem(field=field, message="must be 1 to 128 visible ASCII characters, no spaces")
        raise InvalidRequestError("The request's parameters are invalid; see errors.", [wrong])
    return named
