"""Links to cited conversations."""

from typing import Annotated

from fastapi import Depends, Request
from mh_common.models import Conversation, SearchHit
from mh_common.web.forwarded import scheme_of

from rag_api.dependencies import state_of


def conversation_link(public_url: str, conversation_id: int) -> str:
    """Return the URL of a conversation; `public_url` is the platform's URL as seen by its users."""
    return f"{public_url}/api/v1/conversations/{conversation_id}"


def source_link(conversation: Conversation | SearchHit, public_url: str) -> str:
    """Return the source URL of a conversation or, if it has none, the URL of the conversation itself."""
    return conversation.source_url or conversation_link(public_url, conversation.id)


def public_url_of(request: Request) -> str:
    """Return the platform's URL as seen by its users, without a trailing slash.

    Without DOORS_PUBLIC_URL it is taken from the request: the gateway forwards the host name (Host) and the scheme
    (X-Forwarded-Proto) that the caller used.
    """
    if configured := state_of(request).integrations.public_url:
        return configured.rstrip("/")
    scheme = scheme_of(request)
    scheme = scheme if scheme in ("http", "https") else "http"
    return f"{scheme}://{request.url.netloc}"


async def _get_public_url(request: Request) -> str:
    return public_url_of(request)


PublicUrl = Annotated[str, Depends(_get_public_url)]
