"""Reviews of conversations, and their earlier versions: methods of `client.conversations`."""

from collections.abc import Sequence

from mh_common.fields import ReviewState
from mh_common.models import (
    BulkReview,
    BulkReviewed,
    Conversation,
    ConversationReview,
    ConversationVersion,
    ConversationVersionPage,
)

from mh_client._base import Call, if_match_header, validated
from mh_client.resources._fields import ReviewStateName
from mh_client.resources._params import query_params

PATH = "/api/v1/conversations"


def review(
    conversation_id: int, review_state: ReviewState | ReviewStateName, *, if_match: int | str | None = None
) -> Call[Conversation]:
    """Approve or reject a conversation, or take that back with `unreviewed`. Raises NotFoundError.

    `if_match` is the version (or ETag) that was read; raises PreconditionFailedError if it is not the current one.
    """
    return Call(
        method="PUT",
        path=f"{PATH}/{conversation_id:d}/review",
        content=validated(ConversationReview, {"review_state": review_state}).model_dump_json().encode(),
        headers=if_match_header(if_match),
        parse=Conversation.model_validate_json,
    )


def bulk_review(ids: Sequence[int], review_state: ReviewState | ReviewStateName) -> Call[BulkReviewed]:
    """Approve or reject 1 to 1000 conversations; return how many of them exist, and how many it changed."""
    sent = validated(BulkReview, {"ids": ids, "review_state": review_state})
    return Call(
        method="POST",
        path=f"{PATH}/bulk-review",
        content=sent.model_dump_json().encode(),
        parse=BulkReviewed.model_validate_json,
    )


def versions(
    conversation_id: int, *, cursor: str | None = None, limit: int | None = None
) -> Call[ConversationVersionPage]:
    """Return one page of a conversation's versions, newest first, beginning with the current one.

    `limit` is 1 to 100, by default 20; pass a page's `next_cursor` as `cursor` for the next one. Raises NotFoundError.
    """
    return Call(
        method="GET",
        path=f"{PATH}/{conversation_id:d}/versions",
        params=query_params({"cursor": cursor, "limit": limit}),
        parse=ConversationVersionPage.model_validate_json,
    )


def version(conversation_id: int, number: int) -> Call[ConversationVersion]:
    """Return what a conversation was in one of its versions. Raises NotFoundError, also if that is not kept."""
    return Call(
        method="GET",
        path=f"{PATH}/{conversation_id:d}/versions/{number:d}",
        parse=ConversationVersion.model_validate_json,
    )


def restore(conversation_id: int, number: int, *, if_match: int | str | None = None) -> Call[Conversation]:
    """Give a conversation the content of one of its versions, as a new version. Raises NotFoundError.

    `if_match` as in `review`.
    """
    return Call(
        method="POST",
        path=f"{PATH}/{conversation_id:d}/versions/{number:d}/restore",
        headers=if_match_header(if_match),
        parse=Conversation.model_validate_json,
    )
