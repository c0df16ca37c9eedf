"""For whom a request is made, if its caller may act for others."""

from typing import Annotated

from fastapi import Depends, Header

from mh_common.auth.outside_users import outside_id
from mh_common.models import USER_ID_HEADER
from mh_common.web.access import CurrentPrincipal

NamedUser = Annotated[
    str | None,
    Header(
        alias=USER_ID_HEADER,
        description="The person for whom the request is made, as the caller's own program knows them: 1 to 128 visible "
        "ASCII characters, no spaces. It counts for keys with the scope `on-behalf-of` and where there are no accounts "
        "(AUTH_MODE=open); of other callers it is ignored.",
    ),
]
"""What the header X-User-Id says."""


async def _outside_user(principal: CurrentPrincipal, named: NamedUser = None) -> str | None:
    return outside_id(principal, named)


OutsideUser = Annotated[str | None, Depends(_outside_user)]
"""The id of the person for whom the caller acts; None if it acts for itself."""
