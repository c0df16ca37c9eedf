"""Where a reader finds a conversation that is cited."""

from typing import Annotated

from fastapi import Depends, Request
from mh_common.models import Conversation, SearchHit

from rag_api.dependencies import state_of


def conversation_link(public_url: str, key: int) -> str:
    """Return the address of a conversation; `public_url` is the platform's, as its users know it."""
    return f"{public_url}/api/v1/conversations/{key}"


def source_link(conversation: Conversation | SearchHit, public_url: str) -> str:
    """Return where a conversation comes from or, if nobody said, its own address."""
    return conversation.source_url or conversation_link(public_url, conversation.id)


def public_url_of(request: Request) -> str:
    """Return the platform's address as its users know it, without a slash at the end.

    Without DOORS_PUBLIC_URL it is that of the request. The gateway passes on the name that the caller used (Host) and
    how (X-Forwarded-Proto).
    """
    if configured := state_of(request).integrations.public_url:
        return configured.rstrip("/")
    scheme = request.headers.get("X-Forwarded-Proto", request.url.scheme)
    scheme = scheme if scheme in ("http", "https") else "http"
    return f"{scheme}://{request.url.netloc}"


async def _get_public_url(request: Request) -> str:
    return public_url_of(request)


PublicUrl = Annotated[str, Depends(_get_public_url)]
