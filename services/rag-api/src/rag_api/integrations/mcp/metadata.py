"""GET /.well-known/oauth-protected-resource: how to get into /mcp (RFC 9728), as MCP's authorization expects it."""

from typing import Final

from fastapi import APIRouter, Request
from mh_common.auth.roles import Scope
from mh_common.errors import NotFoundError
from mh_common.web.access import ACCESS, PUBLIC
from mh_common.web.problems import problem_responses
from pydantic import BaseModel, Field

from rag_api.integrations.links import PublicUrl

PATH: Final = "/.well-known/oauth-protected-resource"
RESOURCE: Final = "/mcp"
SCOPES: Final = (Scope.ANSWERS, Scope.CONVERSATIONS_READ, Scope.SEARCH)
"""What a key needs for all tools."""

router = APIRouter(tags=["mcp"], dependencies=[PUBLIC])


class ProtectedResource(BaseModel):
    """Metadata of a protected resource.

    There are no `authorization_servers`: keys are made on the platform, not by OAuth.
    """

    resource: str = Field(description="URL of the MCP server.")
    resource_name: str = "Mental health conversations"
    scopes_supported: list[str] = Field(default=[scope.value for scope in SCOPES], description="For all tools.")
    bearer_methods_supported: list[str] = Field(default=["header"], description="Keys are sent in `Authorization`.")


@router.get(f"{PATH}{RESOURCE}", summary="How to get into /mcp", responses=problem_responses(404))
@router.get(PATH, include_in_schema=False)
async def protected_resource(request: Request, public_url: PublicUrl) -> ProtectedResource:
    """Return the metadata of the MCP server as a protected resource. 404 if there are no accounts (AUTH_MODE=open)."""
    if getattr(request.state, ACCESS).authenticator is None:
        raise NotFoundError("No key is needed here (AUTH_MODE=open).")
    return ProtectedResource(resource=f"{public_url}{RESOURCE}")


def metadata_url(public_url: str) -> str:
    """Return the URL of the metadata."""
    return f"{public_url}{PATH}{RESOURCE}"
