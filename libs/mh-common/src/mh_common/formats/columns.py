"""Which column of a file holds which field."""

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mh_common.formats.rows import FIELDS, TEXTS, FileRefusedError
from mh_common.formats.texts import clean_name

_NOT_IN_NAMES: Final = re.compile(r"[\W_]+")

# The names of a field in data sets, without blanks and marks. A field's own name goes before the first tier, and a
# name of the first tier before one of the second: those can mean other things as well.
_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    "question": (
        "context questiontext questionbody questioncontent questions prompt query",
        "input instruction patient patientquestion client clientmessage user usermessage human q post",
    ),
    "answer": (
        "response responses answertext answerbody answercontent answers completion output reply",
        "counselor counselorresponse therapist therapistresponse assistant bot a target",
    ),
    "question_sentiment": ("sentimentquestion questionlabel", ""),
    "answer_sentiment": ("sentimentanswer answerlabel", ""),
    "source_url": ("sourcelink questionlink questionurl", "url link"),
    "source_date": ("dateofsource questiondate", "date"),
    "category": ("topic topics categories", ""),
    "author": ("authorname counselorname therapistname", ""),
}
# A first line with a cell like this is no header but a conversation, which no message may repeat.
_LONGEST_NAME: Final = 40
_WORDS_OF_A_NAME: Final = 4


@dataclass(frozen=True)
class Match:
    """Which column holds which field: `places` has its index by field, `doubts` why a field that is needed has none."""

    places: dict[str, int]
    doubts: dict[str, str]


def parse_columns(pairs: Iterable[str]) -> dict[str, str]:
    """Return the columns by field that texts such as `question=Context` name. Raises FileRefusedError."""
    columns: dict[str, str] = {}
    for pair in pairs:
        field, separator, column = pair.partition("=")
        field = field.strip().lower()
        if not separator or field not in FIELDS:
            raise FileRefusedError(f"write FIELD=COLUMN, such as question=Context; the fields are {', '.join(FIELDS)}")
        if field in columns:
            raise FileRefusedError(f"a column for {field} is given twice; give it once")
        columns[field] = column.strip()
    return columns


def match_columns(header: Sequence[str], chosen: Mapping[str, str], *, are_all_there: bool = True) -> Match:
    """Say which columns hold the fields: those chosen, else those with a field's own name or a common one.

    With `are_all_there` a chosen column that is missing leaves a doubt, whatever its field.
    """
    names = [clean_name(name) for name in header]
    bare = [_bare(name) for name in names]
    match = Match({}, {})
    for field, name in chosen.items():
        if field not in FIELDS:
            raise FileRefusedError(f"there is no field {field}; the fields are {', '.join(FIELDS)}")
        if name:
            found = _chosen(name, names, bare)
            missing = f"the column chosen as {field} is not in the file"
            _note(match, field, found, missing, is_needed=are_all_there or field in TEXTS)
        elif field in TEXTS:
            match.doubts[field] = f"the {field} cannot be left out"
    taken = set(match.places.values())
    for field in FIELDS:
        if field not in chosen:
            missing = f"no column was recognised as the {field}"
            _note(match, field, _recognised(field, bare, taken), missing, is_needed=field in TEXTS)
    return match


def _bare(name: str) -> str:
    return _NOT_IN_NAMES.sub("", unicodedata.normalize("NFKC", name).casefold())


def _chosen(wanted: str, names: Sequence[str], bare: Sequence[str]) -> list[int]:
    wanted = clean_name(wanted)
    exact = [at for at, name in enumerate(names) if name == wanted]
    return exact or [at for at, name in enumerate(bare) if name and name == _bare(wanted)]


def _recognised(field: str, bare: Sequence[str], taken: set[int]) -> list[int]:
    for tier in (_bare(field), *_NAMES.get(field, ())):
        if found := [at for at, name in enumerate(bare) if name in tier.split() and at not in taken]:
            # Nobody asked for an optional field by another name, so that it is no fault to find it twice.
            is_own = bare[found[0]] == _bare(field)
            return found if field in TEXTS or is_own or len(found) == 1 else []
    return []


def _note(match: Match, field: str, found: Sequence[int], missing: str, *, is_needed: bool) -> None:
    if len(found) == 1:
        match.places[field] = found[0]
    elif found or is_needed:
        match.doubts[field] = f"{len(found)} columns could be the {field}" if found else missing


def find_columns(header: Sequence[str], chosen: Mapping[str, str], *, are_all_there: bool = True) -> dict[str, int]:
    """Return the index of the column of each field that the file has; `are_all_there` as in `match_columns`.

    Raises FileRefusedError where question or answer is not found, a chosen column is missing, or two could be meant.
    """
    match = match_columns(header, chosen, are_all_there=are_all_there)
    if match.doubts:
        raise FileRefusedError(f"{'; '.join(match.doubts.values())}. {_advice(header)}")
    return match.places


def _advice(header: Sequence[str]) -> str:
    names = [clean_name(name) for name in header]
    shown = [name for name in names if name]
    if not all(len(name) <= _LONGEST_NAME and len(name.split()) <= _WORDS_OF_A_NAME for name in shown):
        return "The first line must name the columns, such as question,answer"
    if len(shown) == 1:
        return "There is one column only; put a comma between the columns, or say the delimiter of the file"
    more = " and others" if len(shown) > 20 else ""
    columns = f"The file's columns are: {', '.join(shown[:20])}{more}. " if shown else ""
    return f"{columns}Say which one is meant, such as question=NAME and answer=NAME"


def named(header: Sequence[str], places: Mapping[str, int]) -> tuple[dict[str, str], list[str]]:
    """Return the columns that are read by field, and the names of the others."""
    names = [clean_name(name) for name in header]
    used = set(places.values())
    ignored = [name for at, name in enumerate(names) if name and at not in used]
    return {field: names[places[field]] for field in FIELDS if field in places}, ignored
