"""Feedback on answers, passed on to the conversations API, which keeps it with the answer in the query history."""

import math
from typing import Final
from uuid import UUID

import structlog
from mh_client import APIStatusError, AsyncClient, ConflictError, MHError, NotFoundError
from mh_common import errors
from mh_common.models import Feedback, FeedbackCreate

from rag_api.api_calls import rate

log = structlog.get_logger(__name__)

FEEDBACK_FAILED: Final = "feedback_failed"


class FeedbackService:
    """Takes feedback."""

    def __init__(self, conversations: AsyncClient) -> None:
        self._conversations = conversations

    async def set(self, answer_id: UUID, content: FeedbackCreate, user_id: str | None) -> Feedback:
        """Keep the user's feedback in the place of what was there.

        Raises:
            NotFoundError: there is no such answer in the history, or it is another user's.
            TurnedOffError: the query history is turned off.
            UnavailableError: the conversations API is down.
        """
        try:
            return await self._conversations.send(rate(answer_id, content, user_id))
        except NotFoundError as error:
            raise errors.NotFoundError(f"There is no answer {answer_id} in the history.") from error
        except ConflictError as error:
            raise errors.TurnedOffError("The query history, which keeps feedback, is turned off.") from error
        except MHError as error:
            log.warning(FEEDBACK_FAILED, error=type(error).__name__)
            asked = error.retry_after if isinstance(error, APIStatusError) else None
            message = "The conversations API, which keeps feedback, cannot be used now."
            raise errors.UnavailableError(message, math.ceil(asked or 5)) from error
