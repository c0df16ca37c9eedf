"""How `mh ask` shows an answer while it is written."""

from collections.abc import Iterable

from mh_common.models import AnswerDone, AnswerEvent, AnswerSources, AnswerToken

from mh_client._command_parts import SHOWN_CHARACTERS, print_text
from mh_client._terminal import printable, shortened


def print_answer(events: Iterable[AnswerEvent]) -> None:
    """Print the text as it comes, then the sources, and which sentences cite none."""
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
        # What an error says goes on a line of its own.
        if begun:
            print()
    if done is None:
        return
    if done.uncited_sentences:
        print_text("\nNo source is cited for:")
        for sentence in done.uncited_sentences:
            print_text(f"- {shortened(sentence, SHOWN_CHARACTERS)}")
    print_text(f"\nSources ({done.model}):")
    for number, source in enumerate(sources or (), start=1):
        text = shortened(source.question, SHOWN_CHARACTERS)
        print_text(f"[{number}] conversation {source.id}, score {source.score:.3f}: {text}")
