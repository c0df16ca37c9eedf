"""The name under which clients know what answers them."""

from typing import Final

from rag_api.doors.openai_api.refusals import UnknownError

MODEL: Final = "mental-health"


def check_model(name: str) -> None:
    """Refuse any other name.

    Raises:
        UnknownError: it is another one.
    """
    if name != MODEL:
        raise UnknownError(f"There is no such model here. The model is {MODEL}.", "model", "model_not_found")
