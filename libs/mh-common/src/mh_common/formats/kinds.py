"""What kind of file something is, by its first bytes."""

import re
import zipfile
from typing import BinaryIO, Final

from mh_common.formats.rows import FileRefusedError, Format
from mh_common.formats.signatures import EXPORT, NO_TABLE, PERHAPS_WORDS, SIGNATURES, TO_CSV, UNPACK

HEAD: Final = 64 * 1024
"""Bytes at the beginning that are looked at."""

_NO_TEXT: Final = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f-\xff]")
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_JSON: Final = re.compile(r"[\s\ufeff\x1e]*(?:\{\s*[\"}]|\[\s*(?:\{\s*[\"}]|\]\s*$))")
_MARKUP: Final = re.compile(r"<(?:!doctype html|html|head|body|table|meta|style|div|script)\b", re.IGNORECASE)


def binary_kind(file: BinaryIO, head: bytes) -> Format | None:
    """Return the format of a binary file, None for one that may be text. Raises FileRefusedError for others."""
    if head.startswith(b"PAR1"):
        return Format.PARQUET
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06", b"PK\x07\x08")):
        return _zip_kind(file)
    if head.startswith(_OLE):
        raise _refused(*_ole_kind(head))
    for start, name, advice in SIGNATURES:
        if head.startswith(start) and (start not in PERHAPS_WORDS or _NO_TEXT.search(head, len(start), 200)):
            raise _refused(name, advice)
    if head[4:8] == b"ftyp":
        raise _refused("an image, a sound or a film (MP4, HEIC)", NO_TABLE)
    if head.startswith(b"BM") and head[6:10] == bytes(4):
        raise _refused("an image (BMP)", NO_TABLE)
    if head.startswith(b"MZ") and b"\x00" in head[:64]:
        raise _refused("a program", NO_TABLE)
    if re.match(rb"BZh[1-9]1AY&SY", head):
        raise _refused("a bzip2 archive (.bz2)", UNPACK)
    if head[257:262] == b"ustar":
        raise _refused("a tar archive (.tar)", UNPACK)
    if re.match(rb"\x80[\x02-\x05]", head):
        raise _refused("a pickled Python object", EXPORT)
    return None


def refuse_markup(text: str) -> None:
    """Raise FileRefusedError for the beginning of a text that is a page or another document."""
    start = text.lstrip("\ufeff \t\r\n")[:2000]
    if start.startswith("<?xml") and "Excel.Sheet" in start:
        raise _refused("an Excel workbook in XML", TO_CSV)
    if _MARKUP.match(start) or (start.startswith(("<!--", "<?xml")) and _MARKUP.search(start)):
        advice = "Open it in a spreadsheet or a browser and save the table as CSV UTF-8"
        raise _refused("a web page (HTML), whatever its name says", advice)
    if start.startswith("<svg"):
        raise _refused("an image (SVG)", NO_TABLE)
    if start.startswith("<?xml"):
        raise _refused("an XML document", EXPORT)


def _zip_kind(file: BinaryIO) -> Format:
    file.seek(0)
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, OSError, NotImplementedError, ValueError):
        advice = "Make it or copy it again"
        raise _refused("an Excel workbook (.xlsx) or ZIP archive that is damaged or cut off", advice) from None
    if "xl/workbook.xml" in names or any(name.startswith("xl/worksheets/") and name.endswith(".xml") for name in names):
        return Format.XLSX
    for start, name in (
        ("xl/", "a binary Excel workbook (.xlsb)"),
        ("word/", "a Word document (.docx)"),
        ("ppt/", "a PowerPoint presentation (.pptx)"),
        ("Index/", "an Apple document (.numbers, .pages)"),
        ("content.xml", "an OpenDocument file (.ods, .odt)"),
    ):
        if any(one.startswith(start) for one in names):
            raise _refused(name, TO_CSV)
    raise _refused("a ZIP archive", UNPACK)


def _ole_kind(head: bytes) -> tuple[str, str]:
    def holds(name: str) -> bool:
        return name.encode("utf-16-le") in head

    if holds("EncryptedPackage") or holds("EncryptionInfo"):
        return "an Office document with a password", "Open it, remove the password and save it as .xlsx"
    if holds("WordDocument"):
        return "an old Word document (.doc)", TO_CSV
    return "an old Excel workbook (.xls) or another old Office document", TO_CSV


def _refused(name: str, advice: str) -> FileRefusedError:
    return FileRefusedError(f"this is {name}, which cannot be read. {advice}.")


def is_json(text: str, name: str) -> bool:
    """Say whether a text that begins like this is JSON; the name decides where it may be something else."""
    if _JSON.match(text):
        return True
    return name.lower().endswith((".json", ".jsonl", ".ndjson"))
