"""Measures how much of the identifiers in marked notes a recognizer finds, and how much else it hides.

    python -m mh_devtools.identifiers.evaluate FILE [--misses] [--false] [--recognizer NAME] [--json]

An identifier counts as found if all of its letters and digits are hidden, whatever the kind. Intervals are Wilson's, of
95 %.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from mh_common.identifiers import Identifier, IdentifierKind, Recognizer
from mh_common.identifiers.built_in import BuiltInRecognizer
from mh_common.identifiers.recognizers import JoinedRecognizer

from mh_devtools.identifiers.notes import Mark, Note, NotesError, read_notes, words_of
from mh_devtools.shares import Share

RECOGNIZERS: Final = ("built-in", "presidio", "presidio-alone")


@dataclass(frozen=True)
class Figures:
    """What a recognizer does on notes."""

    recall: Share
    recall_in_part: Share
    """Identifiers of which at least a letter or digit is hidden."""

    by_kind: dict[IdentifierKind, Share]
    precision: Share
    """Stretches hidden that overlap an identifier."""

    clean_words_hidden: Share
    """Words outside of identifiers of which a part is hidden."""


def measure(notes: Sequence[Note], recognizer: Recognizer) -> Figures:
    """Return the figures of the recognizer on these notes."""
    found = [(note, recognizer.find(note.text)) for note in notes]
    hidden = [(mark.kind, _share_hidden(note, mark, spans)) for note, spans in found for mark in note.marks]
    stretches = [_overlaps(one, note.marks) for note, spans in found for one in spans]
    clean = [
        _overlaps_any(word, spans)
        for note, spans in found
        for word in words_of(note.text)
        if not _overlaps_any(word, note.marks)
    ]
    return Figures(
        recall=_share(share == 1 for _, share in hidden),
        recall_in_part=_share(share > 0 for _, share in hidden),
        by_kind={
            kind: _share(share == 1 for one, share in hidden if one is kind)
            for kind in IdentifierKind
            if any(one is kind for one, _ in hidden)
        },
        precision=_share(stretches),
        clean_words_hidden=_share(clean),
    )


def misses(notes: Sequence[Note], recognizer: Recognizer) -> Iterator[str]:
    """Yield a line for each identifier that is not hidden as a whole."""
    for note in notes:
        spans = recognizer.find(note.text)
        for mark in note.marks:
            share = _share_hidden(note, mark, spans)
            if share < 1:
                place = _around(note.text, mark.start, mark.end)
                yield f"line {note.line}: {mark.kind}, {'in part' if share else 'not'}: {place}"


def false_alarms(notes: Sequence[Note], recognizer: Recognizer) -> Iterator[str]:
    """Yield a line for each stretch that is hidden and overlaps no identifier."""
    for note in notes:
        for one in recognizer.find(note.text):
            if not _overlaps(one, note.marks):
                yield f"line {note.line}: {one.kind}: {_around(note.text, one.start, one.end)}"


def _share(values: Iterable[bool]) -> Share:
    counted = list(values)
    return Share(sum(counted), len(counted))


def _share_hidden(note: Note, mark: Mark, spans: Sequence[Identifier]) -> float:
    """Return the share of the mark's letters and digits that are hidden."""
    places = [place for place in range(mark.start, mark.end) if note.text[place].isalnum()]
    hidden = sum(any(one.start <= place < one.end for one in spans) for place in places)
    return hidden / len(places) if places else 1.0


def _overlaps(one: Identifier | Mark, others: Sequence[Identifier | Mark]) -> bool:
    return _overlaps_any((one.start, one.end), others)


def _overlaps_any(span: tuple[int, int], others: Sequence[Identifier | Mark]) -> bool:
    return any(span[0] < other.end and other.start < span[1] for other in others)


def _around(text: str, start: int, end: int) -> str:
    before, after = text[max(0, start - 40) : start], text[end : end + 30]
    return f"…{before}⟦{text[start:end]}⟧{after}…".replace("\n", "⏎")


def recognizer_named(name: str) -> Recognizer:
    """Return the recognizer "built-in", "presidio", which joins it with Presidio, or "presidio-alone"."""
    if name == "built-in":
        return BuiltInRecognizer()
    from mh_common.identifiers.presidio import PresidioRecognizer

    presidio = PresidioRecognizer()
    return presidio if name == "presidio-alone" else JoinedRecognizer([BuiltInRecognizer(), presidio])


def main() -> None:
    """Print the figures; exit with 2 if the file cannot be used."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="notes, one a line, with marks such as [NAME|Jayden]")
    parser.add_argument(
        "--recognizer", choices=RECOGNIZERS, default=RECOGNIZERS[0], help="presidio: joined with the built-in one"
    )
    parser.add_argument("--misses", action="store_true", help="list the identifiers that are not hidden as a whole")
    parser.add_argument("--false", action="store_true", help="list what is hidden and is no identifier")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")
    options = parser.parse_args()
    try:
        notes = read_notes(options.file)
    except NotesError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    recognizer = recognizer_named(options.recognizer)
    figures = measure(notes, recognizer)
    if options.json:
        print(json.dumps(asdict(figures), indent=2))
    else:
        print(f"{len(notes)} notes")
        print(f"recall               {figures.recall}")
        print(f"recall in part       {figures.recall_in_part}")
        for kind, share in figures.by_kind.items():
            print(f"  {kind:<18} {share}")
        print(f"precision            {figures.precision}")
        print(f"clean words hidden   {figures.clean_words_hidden}")
    for wanted, lines in ((options.misses, misses), (options.false, false_alarms)):
        if wanted:
            print(f"\n{'Missed' if lines is misses else 'Hidden, and no identifier'}:")
            print("\n".join(lines(notes, recognizer)))


if __name__ == "__main__":
    main()
