"""The route that makes the first administrator."""

from typing import Annotated

from fastapi import APIRouter, Body, Request
from mh_common.models import Setup, User
from mh_common.web.access import PUBLIC
from mh_common.web.forwarded import address_of

from conversations_api.dependencies import HAS_ACCOUNTS, Attempts, WriteSession
from conversations_api.setup import documentation
from conversations_api.setup.service import SetupService

router = APIRouter(prefix="/api/v1/setup", tags=["accounts"], dependencies=[PUBLIC, HAS_ACCOUNTS])


@router.post("", status_code=201, responses=documentation.SET_UP)
async def set_up(
    content: Annotated[Setup, Body(openapi_examples=documentation.FIRST)],
    request: Request,
    session: WriteSession,
    attempts: Attempts,
) -> User:
    """Make the first administrator, with the token that the first start printed. It works once."""
    await attempts.count(None, address_of(request))
    return await SetupService(session).set_up(content)
