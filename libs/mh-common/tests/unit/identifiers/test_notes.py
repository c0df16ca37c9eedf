"""The measuring of recognizers: marked notes, shares and their intervals."""

import json
from pathlib import Path

import pytest
from mh_common.identifiers import Identifier, IdentifierKind
from mh_devtools.identifiers.evaluate import false_alarms, main, measure, misses
from mh_devtools.identifiers.notes import NotesError, read_notes
from mh_devtools.shares import Share


class Finds:
    def __init__(self, *texts: str) -> None:
        self._texts = texts

    def find(self, text: str) -> list[Identifier]:
        return [
            Identifier(text.index(one), text.index(one) + len(one), IdentifierKind.OTHER)
            for one in self._texts
            if one in text
        ]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "notes.txt"
    path.write_text(
        "# a comment\n\n[NAME|Dr. Ann Lee] saw him.\\nTel. [PHONE|(555) 0142]\nNothing here.\n", encoding="utf-8"
    )
    return path


def test_marks_are_read(file: Path) -> None:
    first, second = read_notes(file)
    assert first.text == "Dr. Ann Lee saw him.\nTel. (555) 0142"
    assert [(first.text[mark.start : mark.end], mark.kind) for mark in first.marks] == [
        ("Dr. Ann Lee", IdentifierKind.PERSON),
        ("(555) 0142", IdentifierKind.PHONE),
    ]
    assert (second.line, second.marks) == (4, ())


@pytest.mark.parametrize(("line", "said"), [("[NAME|Ann", "form"), ("[NICK|Ann]", "NICK"), ("", "no notes")])
def test_a_broken_file_is_named(tmp_path: Path, line: str, said: str) -> None:
    path = tmp_path / "notes.txt"
    path.write_text(line, encoding="utf-8")
    with pytest.raises(NotesError, match=said):
        read_notes(path)


def test_found_are_those_whose_letters_and_digits_are_all_hidden(file: Path) -> None:
    notes = read_notes(file)
    figures = measure(notes, Finds("Ann Lee", "555) 0142", "him"))
    assert (figures.recall.some, figures.recall.all, figures.recall_in_part.some) == (1, 2, 2)
    assert (figures.precision.some, figures.precision.all) == (2, 3)
    assert (figures.clean_words_hidden.some, figures.clean_words_hidden.all) == (1, 5)
    assert figures.by_kind[IdentifierKind.PERSON].some == 0
    assert len(list(misses(notes, Finds()))) == 2
    assert list(false_alarms(notes, Finds("him"))) == ["line 3: other: …Dr. Ann Lee saw ⟦him⟧.⏎Tel. (555) 0142…"]


def test_the_interval_is_wilsons() -> None:
    low, high = Share(45, 48).interval or (0, 0)
    assert (round(low, 3), round(high, 3)) == (0.832, 0.979)
    assert Share(0, 0).interval is None


def test_the_command_prints_the_figures(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate", str(file), "--misses", "--false"])
    main()
    printed = capsys.readouterr().out
    assert "recall               1.000" in printed
    assert "Missed:\n\n" in printed
    monkeypatch.setattr("sys.argv", ["evaluate", str(file), "--json"])
    main()
    assert json.loads(capsys.readouterr().out)["recall"] == {"some": 2, "all": 2}


def test_a_broken_file_ends_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["evaluate", str(tmp_path / "nothing.txt")])
    with pytest.raises(SystemExit, match="2"):
        main()
