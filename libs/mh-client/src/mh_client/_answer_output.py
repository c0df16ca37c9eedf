"""Print a streamed answer, for `mh ask`."""

from collections.abc import Iterable, Sequence
from uuid import UUID

from mh_common.models import AnswerDone, AnswerEvent, AnswerRisk, AnswerSources, AnswerToken, SentTexts

from mh_client._cli_common import MAX_DISPLAY_LENGTH, print_text
from mh_client._terminal import print_notice, printable, truncate


def print_answer(events: Iterable[AnswerEvent], *, show_sent: bool = False) -> UUID | None:
    """Print what to show first and the text, as they arrive, then the uncited sentences and the sources.

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
    if done.uncited_sentences:
        print_text("\nSentences without a source:")
        for sentence in done.uncited_sentences:
            print_text(f"- {truncate(sentence, MAX_DISPLAY_LENGTH)}")
    print_text(f"\nSources ({done.model}):")
    for number, source in enumerate(sources or (), start=1):
        text = truncate(source.question, MAX_DISPLAY_LENGTH)
        print_text(f"[{number}] conversation {source.id}, score {source.score:.3f}: {text}")
    if risk and risk.risk.level.needs_notice:
        print_text(f"\nIs the notice not relevant? mh feedback {answer_id} --notice not-relevant")
    if show_sent:
        _print_sent(done.sent)
    return answer_id


def _print_sent(sent: Sequence[SentTexts] | None) -> None:
    if sent is None:
        print_text("\nThis platform does not tell what it sends.")
    elif not sent:
        print_text("\nNothing was sent to a server: search and answer were made within the platform.")
    for call in sent or ():
        print_text(f"\nSent to {call.recipient} ({call.model}):")
        for message in call.messages:
            print_text(f"--- {message.role} ---\n{message.content}")
