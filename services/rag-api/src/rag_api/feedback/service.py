"""Feedback on answers, forwarded to the conversations API, which stores it in the query history."""

import math
from typing import Final
from uuid import UUID

import structlog
from mh_client import APIStatusError, AsyncClient, ConflictError, MHError, NotFoundError
from mh_common import errors
from mh_common.models import Feedback, FeedbackCreate

from rag_api.api_calls import refusal_of, set_feedback

log = structlog.get_logger(__name__)

FEEDBACK_FAILED: Final = "feedback_failed"


class FeedbackService:
    """Stores feedback."""

    def __init__(self, conversations: AsyncClient) -> None:
        self._conversations = conversations

    async def set(self, answer_id: UUID, content: FeedbackCreate, user_id: str | None) -> Feedback:
        """Store the user's feedback, replacing earlier feedback.

        Raises:
            NotFoundError: the answer is not in the history, or belongs to another user.
            FeatureDisabledError: the query history is disabled.
            UnavailableError: the conversations API is down.
            AuthenticationError, PermissionDeniedError: it refuses the caller's credential.
        """
        try:
            return await self._conversations.send(set_feedback(answer_id, content, user_id))
        except NotFoundError as error:
            raise errors.NotFoundError(f"There is no answer {answer_id} in the history.") from error
        except ConflictError as error:
            raise errors.FeatureDisabledError(
                "The query history, which stores feedback, is disabled (HISTORY_ENABLED)."
            ) from error
        except MHError as error:
            if refusal := refusal_of(error):
                raise refusal from error
            log.warning(FEEDBACK_FAILED, error=type(error).__name__)
            asked = error.retry_after if isinstance(error, APIStatusError) else None
            message = "The conversations API, which stores feedback, is unavailable."
            raise errors.UnavailableError(message, math.ceil(asked or 5)) from error
