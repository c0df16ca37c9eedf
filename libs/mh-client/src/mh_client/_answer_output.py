"""Print a streamed answer, for `mh ask`."""

from collections.abc import Iterable

from mh_common.models import AnswerDone, AnswerEvent, AnswerSources, AnswerToken

from mh_client._cli_common import MAX_DISPLAY_LENGTH, print_text
from mh_client._terminal import printable, truncate


def print_answer(events: Iterable[AnswerEvent]) -> None:
    """Print the text as it arrives, then the uncited sentences and the sources."""
    begun, sources, done = False, None, None
    try:
        for event in events:
            if isinstance(event, AnswerSources):
                sources = event.sources
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
        return
    if done.uncited_sentences:
        print_text("\nSentences without a source:")
        for sentence in done.uncited_sentences:
            print_text(f"- {truncate(sentence, MAX_DISPLAY_LENGTH)}")
    print_text(f"\nSources ({done.model}):")
    for number, source in enumerate(sources or (), start=1):
        text = truncate(source.question, MAX_DISPLAY_LENGTH)
        print_text(f"[{number}] conversation {source.id}, score {source.score:.3f}: {text}")
