"""How files begin that are no tables, or tables that nothing here reads."""

from typing import Final

TO_CSV: Final = "Open it and save the table as .xlsx or as CSV UTF-8"
UNPACK: Final = "Unpack it and give the file that is in it"
EXPORT: Final = "Export the table as CSV or Parquet"
NO_TABLE: Final = "Give a table with a question and an answer in each row, as CSV, JSON Lines, Parquet or .xlsx"

# What a file begins with, what that is, and what to do.
SIGNATURES: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"%PDF-", "a PDF document", NO_TABLE),
    (b"{\\rtf", "a rich text document (.rtf)", NO_TABLE),
    (b"%!PS", "a PostScript document", NO_TABLE),
    (b"\x1f\x8b", "a gzip archive (.gz)", UNPACK),
    (b"\xfd7zXZ\x00", "an xz archive (.xz)", UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive (.zst)", UNPACK),
    (b"\x04\x22\x4d\x18", "an LZ4 archive (.lz4)", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive (.7z)", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive (.rar)", UNPACK),
    (b"SQLite format 3\x00", "an SQLite database", EXPORT),
    (b"\x00\x01\x00\x00Standard ", "a Microsoft Access database", EXPORT),
    (b"PARE", "an encrypted Parquet file", "Write it without encryption"),
    (b"ORC", "an ORC file", EXPORT),
    (b"Obj\x01", "an Avro file", EXPORT),
    (b"ARROW1", "an Arrow (Feather) file", EXPORT),
    (b"FEA1", "a Feather file", EXPORT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", EXPORT),
    (b"\x93NUMPY", "a NumPy array", EXPORT),
    (b"$FL2", "an SPSS file (.sav)", EXPORT),
    (b"$FL3", "an SPSS file (.zsav)", EXPORT),
    (b"<stata_dta>", "a Stata file (.dta)", EXPORT),
    (b"\x09\x08", "an old Excel workbook (.xls)", TO_CSV),
    (b"\x89PNG\r\n\x1a\n", "an image (PNG)", NO_TABLE),
    (b"\xff\xd8\xff", "an image (JPEG)", NO_TABLE),
    (b"GIF87a", "an image (GIF)", NO_TABLE),
    (b"GIF89a", "an image (GIF)", NO_TABLE),
    (b"II*\x00", "an image (TIFF)", NO_TABLE),
    (b"MM\x00*", "an image (TIFF)", NO_TABLE),
    (b"RIFF", "an image, a sound or a film (RIFF)", NO_TABLE),
    (b"OggS", "a sound or a film (Ogg)", NO_TABLE),
    (b"ID3", "a sound (MP3)", NO_TABLE),
    (b"fLaC", "a sound (FLAC)", NO_TABLE),
    (b"\x1aE\xdf\xa3", "a film (Matroska)", NO_TABLE),
    (b"\x7fELF", "a program", NO_TABLE),
    (b"version https://git-lfs.github.com/spec/", "a placeholder of Git LFS, not the file itself", "Run git lfs pull"),
)
# These are letters that a table may begin with as well, unless bytes follow that no text has.
PERHAPS_WORDS: Final = frozenset({b"ORC", b"RIFF", b"ID3", b"OggS", b"FEA1", b"PARE", b"ARROW1"})
