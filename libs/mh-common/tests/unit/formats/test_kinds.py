"""A file of another kind is named, with what to do; its name does not matter."""

import bz2
import gzip
import io
import lzma
import sqlite3
import sys
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from mh_common.formats import FileRefusedError, Format, ReadOptions, open_rows

CSV = b"question,answer\nq,a\n"


def zip_of(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, CSV)
    return file.getvalue()


def tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        entry = tarfile.TarInfo("x.csv")
        entry.size = len(CSV)
        archive.addfile(entry, io.BytesIO(CSV))
    return file.getvalue()


OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(504)
KINDS: dict[str, tuple[bytes, str]] = {
    "pdf": (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", "PDF document"),
    "zip": (zip_of("x.csv"), r"ZIP archive.*Unpack it"),
    "empty zip": (zip_of(), "ZIP archive"),
    "docx": (zip_of("word/document.xml"), "Word document"),
    "pptx": (zip_of("ppt/presentation.xml"), "PowerPoint"),
    "xlsb": (zip_of("xl/workbook.bin"), r"\.xlsb"),
    "ods": (zip_of("mimetype", "content.xml"), r"OpenDocument.*save the table as"),
    "xls": (OLE + "Workbook".encode("utf-16-le"), r"old Excel workbook \(\.xls\).*save the table as \.xlsx or as CSV"),
    "protected xlsx": (OLE + "EncryptedPackage".encode("utf-16-le"), "password"),
    "doc": (OLE + "WordDocument".encode("utf-16-le"), "old Word document"),
    "older xls": (b"\x09\x08\x10\x00\x00\x06\x05\x00", "old Excel workbook"),
    "gzip": (gzip.compress(CSV), "gzip archive.*Unpack"),
    "bzip2": (bz2.compress(CSV), "bzip2 archive"),
    "xz": (lzma.compress(CSV), "xz archive"),
    "tar": (tar(), "tar archive"),
    "7z": (b"7z\xbc\xaf\x27\x1c\x00\x04", "7-Zip"),
    "rar": (b"Rar!\x1a\x07\x01\x00", "RAR"),
    "html": (b"\n <!DOCTYPE HTML>\n<html><table><tr><td>q</td></tr></table>", "web page"),
    "a table as xls": (b'<html xmlns:x="urn:schemas-microsoft-com:office:excel"><table>', "web page"),
    "html in utf-16": ("<table><tr>".encode("utf-16"), "web page"),
    "html after a declaration": (b'<?xml version="1.0"?>\n<!-- x --><html lang="en">', "web page"),
    "excel in xml": (
        b'<?xml version="1.0"?>\n<?mso-application progid="Excel.Sheet"?><Workbook>',
        "Excel workbook in XML",
    ),
    "xml": (b'\xef\xbb\xbf<?xml version="1.0"?><rows/>', "XML document"),
    "rtf": (b"{\\rtf1\\ansi", "rich text"),
    "png": (b"\x89PNG\r\n\x1a\n\x00", "image"),
    "jpeg": (b"\xff\xd8\xff\xe0\x00\x10JFIF", "image"),
    "gif": (b"GIF89a\x01\x00", "image"),
    "webp": (b"RIFF\x24\x00\x00\x00WEBPVP8 ", "image"),
    "heic": (b"\x00\x00\x00\x18ftypheic\x00", "image"),
    "bmp": (b"BM\x36\x00\x0c\x00\x00\x00\x00\x00\x36\x00", "image"),
    "svg": (b'<svg xmlns="http://www.w3.org/2000/svg">', "image"),
    "orc": (b"ORC\x08\x00\x10", "ORC"),
    "avro": (b"Obj\x01\x04\x14", "Avro"),
    "feather": (b"ARROW1\x00\x00", "Feather"),
    "hdf5": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "pickle": (b"\x80\x04\x95\x10", "pickled"),
    "spss": (b"$FL2@(#) IBM SPSS", "SPSS"),
    "a placeholder": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
    "noise": (bytes(range(1, 9)) * 30, "no kind of file that is known"),
}


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.xlsx", "x.parquet"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_another_kind_is_named_with_what_to_do(kind: str, name: str) -> None:
    content, message = KINDS[kind]
    with (
        pytest.raises(FileRefusedError, match=f"(?s)^this is .*{message}"),
        open_rows(io.BytesIO(content), ReadOptions(name=name)),
    ):
        pass


def test_a_database_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE conversations (question TEXT)")
    database.close()
    with pytest.raises(FileRefusedError, match=r"SQLite database.*Export the table"), open_rows(path):
        pass


@pytest.mark.parametrize(
    "start", ["BMI", "ORCID", "ID3", "PK", "RIFF", "MZ", "GIF", "%PDF", "BZh", "{x}", "[x]", "<b>", "Obj", "PAR"]
)
def test_a_header_that_begins_like_another_kind_is_still_one(start: str) -> None:
    with open_rows(io.BytesIO(f"{start},question,answer\n1,q,a\n".encode())) as reader:
        assert len(list(reader)) == 1


@pytest.mark.parametrize("form", [Format.PARQUET, Format.XLSX])
def test_a_format_that_is_said_must_be_that_of_the_file(form: Format) -> None:
    with (
        pytest.raises(FileRefusedError, match=f"the file is not {form}; leave out the format"),
        open_rows(io.BytesIO(CSV), ReadOptions(format=form)),
    ):
        pass


def test_a_pipe_is_refused() -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    with pytest.raises(FileRefusedError, match="save it as a file first"), open_rows(Pipe(CSV)):
        pass


MISSING: dict[str, Callable[[], bytes]] = {
    "pyarrow": lambda: b"PAR1" + bytes(20) + b"PAR1",
    "python_calamine": lambda: zip_of("xl/workbook.xml"),
}


@pytest.mark.parametrize(("module", "extra"), [("pyarrow", "parquet"), ("python_calamine", "xlsx")])
def test_a_library_that_is_missing_is_named_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, module: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    message = rf"needs {module}, which is not installed\. Install it with: pip install 'mh-client\[{extra}\]'"
    with pytest.raises(FileRefusedError, match=message), open_rows(io.BytesIO(MISSING[module]())):
        pass
