"""What answers and searches here, and where texts are sent for it."""

from typing import Final, Literal

from pydantic import BaseModel, Field

from mh_common.models.identifiers import PhiMode

NOT_A_MEDICAL_DEVICE: Final = (
    "For professionals. This is not a medical device: it does not diagnose, and it replaces neither clinical judgement "
    "nor your crisis protocol."
)


class ModelInfo(BaseModel):
    """A model, and who gets the texts for it."""

    name: str
    recipient: str = Field(description="The host that texts are sent to; `this machine` if they do not leave it.")
    remote: bool = Field(description="Whether that host is neither this machine nor one that the operator trusts.")
    phi_mode: PhiMode = Field(description="What happens to identifiers, such as names, in these texts.")


class About(BaseModel):
    """The platform: its version, its models, and who gets the texts for them."""

    version: str
    answers: Literal["model", "quotes"] = Field(
        description="model: a language model writes the answers. quotes: they quote the conversations found."
    )
    language_model: ModelInfo | None = Field(
        description="It gets the question, its history and the conversations found; null if answers are quotes."
    )
    embedding: ModelInfo = Field(description="It gets each search query and each conversation that is indexed.")
    safety_screening: bool = Field(description="Whether questions and answers are screened for risk.")
    notice: str = NOT_A_MEDICAL_DEVICE
