"""Identifiers in texts, such as names, and what happens to them before a text is sent to a server."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from mh_common.identifiers import IdentifierKind
from mh_common.models.base import WireModel

MAX_PREVIEW_LENGTH: Final = 100_000
"""Most characters of a text to preview."""

NOT_DE_IDENTIFIED: Final = (
    "Only what was recognised is hidden. This is not de-identification: the text may still say who it is about."
)


class PhiMode(StrEnum):
    """What happens to identifiers in texts for a language model or an embedding server."""

    OFF = "off"
    """They are sent as they are."""

    PSEUDONYMISE = "pseudonymise"
    """Pseudonyms such as `[PERSON_1]` are sent in their place, and undone in what a language model answers."""

    REFUSE = "refuse"
    """A text with identifiers is not sent."""


class IdentifiersPreviewRequest(WireModel):
    """A text to preview."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Mrs. Okafor of 12 Mill Lane sleeps badly since May 3."}]}
    )

    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_PREVIEW_LENGTH)] = Field(
        description=f"1 to {MAX_PREVIEW_LENGTH:,} characters, taken as they are."
    )


class IdentifierSpan(BaseModel):
    """Where an identifier was recognised, in the text as it was given."""

    start: int = Field(description="First character, from 0, in Unicode code points.")
    end: int = Field(description="End, exclusive.")
    kind: IdentifierKind


class IdentifiersPreview(BaseModel):
    """What would be hidden of a text before it is sent to a language model or an embedding server."""

    text: str = Field(description="The text with a pseudonym for each identifier, as `PHI_MODE=pseudonymise` sends it.")
    identifiers: list[IdentifierSpan] = Field(description="In order of the text.")
    phi_mode: PhiMode = Field(
        description="What this platform does with identifiers in texts for its language model or, without one, for its "
        "embedding server; `off` if both are on this machine or trusted, unless PHI_MODE says otherwise."
    )
    notice: str = NOT_DE_IDENTIFIED
