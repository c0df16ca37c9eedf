"""Print a streamed answer, for `mh ask`."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from mh_common.languages import NAMES
from mh_common.models import (
    AnswerDone,
    AnswerEvent,
    AnswerRisk,
    AnswerSources,
    AnswerToken,
    CheckedSentence,
    SentenceSupport,
    SentTexts,
)

from mh_client._cli_common import MAX_DISPLAY_LENGTH, print_text
from mh_client._terminal import print_notice, printable, truncate


def print_answer(events: Iterable[AnswerEvent], *, show_sent: bool = False) -> UUID | None:
    """Print what to show first and the text, as they arrive, then the sentences to doubt and the sources.

    With `show_sent`, print what was sent to servers as well. Return the answer's id; None if the answer is incomplete.
    """
    begun, risk, sources, done, answer_id = False, None, None, None, None
    try:
        for event in events:
            if isinstance(event, AnswerRisk):
                risk = event
                print_notice(risk.as_text())
            elif isinstance(event, AnswerSources):
                if risk is None:
                    # Older platforms screen nothing.
                    print_notice(AnswerRisk().as_text())
                sources, answer_id = event.sources, event.answer_id
            elif isinstance(event, AnswerToken):
                begun = True
                print(printable(event.text), end="", flush=True)
            elif isinstance(event, AnswerDone):
                done = event
    finally:
        # So that an error message starts on a new line.
        if begun:
            print()
    if done is None:
        return None
    _print_doubts(done)
    print_text(f"\nSources ({done.model}):")
    for number, source in enumerate(sources or (), start=1):
        text = truncate(source.question, MAX_DISPLAY_LENGTH)
        print_text(f"[{number}] conversation {source.id}, score {source.score:.3f}: {text}")
    if risk and risk.risk.level.needs_notice:
        print_text(f"\nIs the notice not relevant? mh feedback {answer_id} --notice not-relevant")
    if show_sent:
        _print_sent(done.sent)
    return answer_id


def _print_doubts(done: AnswerDone) -> None:
    """Print the sentences that cite nothing, those that their sources do not support, and a language not asked for."""
    if done.uncited_sentences:
        print_text("\nSentences without a source:")
        for sentence in done.uncited_sentences:
            print_text(f"- {truncate(sentence, MAX_DISPLAY_LENGTH)}")
    if unsupported := _with(done, SentenceSupport.UNSUPPORTED):
        print_text("\nSentences that their sources do not seem to support; read them there:")
        for one in unsupported:
            why = one.doubt.as_text() if one.doubt else "is not supported"
            print_text(f"- {truncate(one.text, MAX_DISPLAY_LENGTH)} (It {why}.)")
    if unchecked := _with(done, SentenceSupport.NOT_CHECKED):
        print_text("\nSentences that could not be compared with their sources:")
        for one in unchecked:
            print_text(f"- {truncate(one.text, MAX_DISPLAY_LENGTH)}")
    if done.answer_language and done.question_language and done.answer_language != done.question_language:
        written, asked = (NAMES.get(code, code) for code in (done.answer_language, done.question_language))
        print_text(f"\nThe answer is in {written}, although the question is in {asked}.")


def _with(done: AnswerDone, support: SentenceSupport) -> list[CheckedSentence]:
    return [one for one in done.checked_sentences if one.support is support]


def _print_sent(sent: Sequence[SentTexts] | None) -> None:
    if sent is None:
        print_text("\nThis platform does not tell what it sends.")
    elif not sent:
        print_text("\nNothing was sent to a server: search and answer were made within the platform.")
    for call in sent or ():
        print_text(f"\nSent to {call.recipient} ({call.model}):")
        for message in call.messages:
            print_text(f"--- {message.role} ---\n{message.content}")
