"""Which encoding a text file has."""

import codecs
import re
from dataclasses import dataclass
from typing import BinaryIO, Final

from mh_common.formats.rows import FileRefusedError

UTF_8: Final = "utf-8"
WINDOWS_1252: Final = "windows-1252"
_BYTE_ORDER: Final = re.compile("-[lb]e$")
_WINDOWS: Final = re.compile(r"(?:cp|windows-)(?=[0-9]{4}$)")
# Longest first: the mark of UTF-32 begins with that of UTF-16.
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF8, UTF_8),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE: Final = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
_CHUNK: Final = 1024 * 1024
_STRUCTURE: Final = re.compile('[\n\r\t,;|" ]')
_OTHER_NAMES: Final = {"ansi": "windows-1252", "unicode": "utf-16"}
"""What Windows calls them where it saves a text."""
_UNPRINTABLE: Final = frozenset("\n\r\t\u00a0\u00ad\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u3000\ufeff")
"""What texts have in them though Python does not call it printable."""
_NO_TEXT: Final = re.compile("[\x00-\x08\x0e-\x1f\x7f]")
_PLAIN: Final = 0.15
_HIGH: Final = re.compile(rb"[\x80-\xff]+")
# Two characters of Windows-1252, such as a capital with an accent and a closing quotation mark, may look like one of
# two bytes in UTF-8, but hardly like one of Western languages, like one of three bytes, or like several in a row.
_SURELY_UTF_8: Final = re.compile("[\xa0-\xff\u0800-\ud7ff\ue000-\U0010ffff]|[\x80-\u07ff]{2,}")
# Letters of Western languages and quotation marks stand alone or in twos and threes; those of other scripts do not.
_LONGEST_RUN: Final = 3
_FEW: Final = 200
_NOT_WINDOWS_1252: Final = b"\x81\x8d\x8f\x90\x9d"

_UNKNOWN: Final = (
    "the file is neither UTF-8 nor Windows-1252. Save it as CSV UTF-8, or say its encoding, such as Windows-1251, "
    "Shift_JIS or GB18030"
)


def encoding_name(name: str) -> str:
    """Return what people call an encoding that Python knows by this name: UTF-8, UTF-16, Windows-1252, KOI8-R."""
    if _WINDOWS.match(name):
        return _WINDOWS.sub("Windows-", name)
    return _BYTE_ORDER.sub("", name).upper()


@dataclass(frozen=True)
class Encoding:
    """How the bytes of a file become text.

    Attributes:
        name: as Python knows it.
        start: where the text begins, after the byte order marks.
        is_sound: every byte is known to make sense in it.
        fallback: encoding of the lines that are not in the first one.
        note: what whoever gave the file should know.
    """

    name: str
    start: int
    is_sound: bool = False
    fallback: str | None = None
    note: str | None = None


def find_encoding(file: BinaryIO, head: bytes, chosen: str | None) -> Encoding:
    """Return the encoding of a file, of which `head` is the beginning; without a mark or a choice all of it is read.

    Raises FileRefusedError for one that is not known, and where none can be recognised.
    """
    marked, start = _marked(head)
    if chosen is not None:
        return _chosen(chosen, marked, start, head)
    name = marked or _wide_without_mark(head)
    if name in _WIDE:
        return Encoding(name, start, note=f"The file is in {encoding_name(name)}, not in UTF-8, and was read as that.")
    if _is_sound(file, start):
        return Encoding(UTF_8, start, is_sound=True)
    return _utf_8_or_windows(file, start)


def _marked(head: bytes) -> tuple[str | None, int]:
    for mark, name in _MARKS:
        if head.startswith(mark):
            start = len(mark)
            while head.startswith(mark, start):
                start += len(mark)
            return name, start
    return None, 0


def _chosen(chosen: str, marked: str | None, start: int, head: bytes) -> Encoding:
    try:
        name = codecs.lookup(_OTHER_NAMES.get(chosen.strip().lower(), chosen.strip())).name
        # An empty text is decoded without asking whether this is an encoding of texts at all.
        b"a".decode(name, "replace")
    except (LookupError, ValueError):
        example = "UTF-8, Windows-1252 or UTF-16"
        raise FileRefusedError(f"there is no encoding {chosen}; name one such as {example}") from None
    name = UTF_8 if name == "utf-8-sig" else name
    if marked and not marked.startswith(name):
        named, given = encoding_name(marked), encoding_name(name)
        note = f"The file begins with the mark of {named} and was read as that, not as {given}."
        return Encoding(marked, start, note=note)
    if name in ("utf-16", "utf-32"):
        # Without a mark the order of bytes is seen from the text; else it is that of nearly every file.
        found = marked or _wide_without_mark(head) or ""
        name = found if found.startswith(name) else f"{name}-le"
    return Encoding(name, start)


def _wide_without_mark(head: bytes) -> str | None:
    """Say whether bytes look more like UTF-16 or UTF-32 than like UTF-8.

    Every table has blanks, delimiters or line ends. In the right encoding they stand out; in a wrong one there are
    controls, or characters that do not exist.
    """
    # A file that was cut off by a crash may end in, or hold, any number of NUL bytes.
    sample = re.sub(rb"(?:\x00{4}){2,}", b"", head.rstrip(b"\x00"))
    if b"\x00" not in sample or _is_plain(sample):
        return None
    scores = {name: _score(sample + bytes(3), name) for name in _WIDE}
    best = max(scores, key=lambda name: scores[name])
    return best if scores[best] > 0 else None


def _is_plain(sample: bytes) -> bool:
    """Say whether these are letters of ASCII or UTF-8 with a few controls, rather than a control to every letter.

    Line ends and tabs are not looked at: they are one half of each letter of some scripts of India in UTF-16.
    """
    try:
        text = codecs.getincrementaldecoder(UTF_8)().decode(sample)
    except UnicodeDecodeError:
        return False
    letters = sum(1 for one in text if one.isalnum() or one in ' ,;|"')
    return letters - 2 * len(_NO_TEXT.findall(text)) > _PLAIN * len(text)


def _score(sample: bytes, name: str) -> int:
    unit = 4 if "32" in name else 2
    text = codecs.getincrementaldecoder(name)("replace").decode(sample[: len(sample) // unit * unit]).rstrip("\x00")
    unknown = sum(1 for one in text if one == "\ufffd" or not (one.isprintable() or one in _UNPRINTABLE))
    return len(_STRUCTURE.findall(text)) - 4 * unknown


def _is_sound(file: BinaryIO, start: int) -> bool:
    decoder = codecs.getincrementaldecoder(UTF_8)()
    file.seek(start)
    try:
        while chunk := file.read(_CHUNK):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def _utf_8_or_windows(file: BinaryIO, start: int) -> Encoding:
    """Decide by what there is more of: characters that are surely UTF-8, or bytes that are not."""
    decoder = codecs.getincrementaldecoder(UTF_8)("surrogateescape")
    size = good = bad = high = in_runs = impossible = 0
    file.seek(start)
    while chunk := file.read(_CHUNK):
        size += len(chunk)
        text = decoder.decode(chunk)
        strange = len(re.findall("[\udc80-\udcff]", text))
        bad += strange
        good += len(_SURELY_UTF_8.findall(text))
        if strange:
            runs = [match[0] for match in _HIGH.finditer(chunk)]
            high += sum(map(len, runs))
            in_runs += sum(len(run) for run in runs if len(run) > _LONGEST_RUN)
            impossible += sum(run.count(byte) for run in runs for byte in _NOT_WINDOWS_1252)
    # Three bytes are most of a character that was cut off; one or two may be letters of their own.
    cut = len(decoder.decode(b"", final=True))
    is_cut = not bad and (good or cut == 3)
    # A few strange bytes in much text are faults rather than another encoding.
    is_western = in_runs * 2 <= high and impossible * 10 <= high
    if start or is_cut or good >= bad + cut or (not is_western and high * _FEW < size):
        note = "Some lines are not UTF-8, unlike the rest of the file. They are rejected; their reasons say which."
        return Encoding(UTF_8, start, note=note)
    if not is_western:
        raise FileRefusedError(_UNKNOWN)
    note = (
        "The file is not UTF-8. It was read as Windows-1252, which older Windows programs write. If accents or "
        "quotation marks look wrong, say the right encoding, or save the file as CSV UTF-8."
    )
    return Encoding(UTF_8, start, fallback=WINDOWS_1252, note=note)


def refuse_binary(text: str) -> None:
    """Raise FileRefusedError when a text, as decoded, has more controls than any text."""
    if len(_NO_TEXT.findall(text.rstrip("\x00"))) * 10 > len(text.rstrip("\x00")):
        raise FileRefusedError(
            "this is no text and no kind of file that is known. Give a table as CSV, JSON Lines, Parquet or .xlsx."
        )
