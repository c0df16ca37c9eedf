"""Answers without a language model: passages of the conversations found, each with its source."""

from collections.abc import Sequence
from typing import Final

from mh_common.languages import NAMES, other_language

from rag_api.passages.choosing import PassageKind
from rag_api.passages.finder import Passage

EXTRACTIVE_MODEL: Final = "extractive"

_INTRO: Final = (
    "Passages from {conversations}, chosen for your question. They were written for other people and are not advice "
    "for this patient; if there may be a risk, follow your crisis protocol first."
)
_RISK_INTRO: Final = (
    "Read the notice of risk first. These are sentences from {conversations} about such a risk, chosen for your "
    "question. They were written for other people and are not advice for this patient."
)
_NOTHING_TO_QUOTE: Final = (
    "No passage of the conversations found is close enough to your question to be quoted. They are in the sources and "
    "may still be worth reading."
)
_NOTHING_TO_QUOTE_AT_RISK: Final = (
    "Read the notice of risk first. No sentence is quoted: the similar conversations have none that is about this risk "
    "and safe to pass on. They are in the sources."
)
_HEADINGS: Final[dict[PassageKind | None, str]] = {
    None: "",
    PassageKind.ADVICE: "What counselors advised:",
    PassageKind.EXPLANATION: "How they explained it:",
}


def quoted(passages: Sequence[Passage], question: str, *, at_risk: bool) -> list[str]:
    """Return an introduction and the passages, by kind, each with its source's number: parts that make up the text.

    A passage in another language than the question is marked. Without passages, the only part says that none is quoted.
    """
    if not passages:
        return [_NOTHING_TO_QUOTE_AT_RISK if at_risk else _NOTHING_TO_QUOTE]
    count = len({one.source for one in passages})
    conversations = "one similar conversation" if count == 1 else f"{count} similar conversations"
    parts = [(_RISK_INTRO if at_risk else _INTRO).format(conversations=conversations)]
    for kind, heading in _HEADINGS.items():
        before = f"\n\n{heading}\n\n" if heading else "\n\n"
        for one in passages:
            if one.kind is kind:
                parts.append(f"{before}“{one.text}” [{one.source}]{_language_note(one.text, question)}")
                before = "\n\n"
    return parts


def _language_note(text: str, question: str) -> str:
    language = other_language(text, question)
    return f" (in {NAMES[language]})" if language else ""
