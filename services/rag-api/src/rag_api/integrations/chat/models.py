"""Request and response models of POST /api/chat and GET /api/health."""

import re
from typing import Annotated

from mh_common.models import QueryText
from mh_common.models.base import WireModel, reject_nul
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, Strict, StringConstraints

from rag_api.answers.generators import MAX_INSTRUCTIONS_LENGTH

Instructions = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=MAX_INSTRUCTIONS_LENGTH), AfterValidator(reject_nul)
]


def _validate_model(name: str) -> str:
    if not re.fullmatch(r"[!-~]{1,128}", name):
        raise ValueError("must be 1 to 128 visible ASCII characters; leave it out for the configured model")
    return name


ModelName = Annotated[str, AfterValidator(_validate_model)]


def _validate_api_key(key: SecretStr) -> SecretStr:
    if not re.fullmatch(r"[!-~]{1,512}", key.get_secret_value()):
        raise ValueError("must be 1 to 512 visible ASCII characters; leave it out to use no key of your own")
    return key


class PlainChatRequest(WireModel):
    """A question and options for its answer."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "developer_message": "Answer in three sentences.",
                    "user_message": "My patient panics on the bus. How can I help?",
                }
            ]
        }
    )

    developer_message: Instructions = Field(
        default="", description="Instructions for language, tone, length or form; at most 4,000 characters."
    )
    user_message: QueryText = Field(description="The question: 1 to 8,000 characters after trimming.")
    model: ModelName | None = Field(default=None, description="Another language model; requires `api_key`.")
    api_key: Annotated[SecretStr, Strict(False), AfterValidator(_validate_api_key)] | None = Field(
        default=None,
        description="A key for the language model's server, used for this request only, never logged or stored; not "
        "the key of this platform, which belongs into the Authorization header. "
        "Answered by quotes if the platform does not take keys of callers.",
    )


class ChatError(BaseModel):
    """An error."""

    error: str


class Health(BaseModel):
    """The service is running."""

    status: str = "ok"
