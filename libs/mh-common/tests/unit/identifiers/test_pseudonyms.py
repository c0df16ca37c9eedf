"""Pseudonyms: what is hidden is restored as it was, in one piece or in many, and nothing tells it otherwise."""

import copy
import json
import logging
import pickle
import re
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.identifiers import Identifier, IdentifierKind, Pseudonyms, make_recognizer
from mh_common.identifiers.pseudonyms import LONGEST

PERSON, PLACE, PHONE = IdentifierKind.PERSON, IdentifierKind.PLACE, IdentifierKind.PHONE


class Marked:
    """Finds what stands between braces, the braces included: any text can have any identifiers."""

    def find(self, text: str) -> list[Identifier]:
        kinds = list(IdentifierKind)
        return [
            Identifier(*match.span(), kinds[len(match[0]) % len(kinds)]) for match in re.finditer(r"\{[^{}]*\}", text)
        ]


class Listed:
    """Finds these names."""

    def __init__(self, *names: str, kind: IdentifierKind = PERSON) -> None:
        self._expression = re.compile("|".join(map(re.escape, sorted(names, key=len, reverse=True))))
        self._kind = kind

    def find(self, text: str) -> list[Identifier]:
        return [Identifier(*match.span(), self._kind) for match in self._expression.finditer(text)]


def pseudonyms(*names: str) -> Pseudonyms:
    return Pseudonyms(Listed(*names))


hidden = st.sampled_from(["{Maria Lopez}", "{Maria}", "{maria}", "{Ms. Lopez}", "{x}", "{}", "{[PERSON_1]}"])
literals = st.sampled_from(
    ["[PERSON_1]", "[person 1]", "PERSON_1", "[PERSON_1b]", "[TEXT_1]", "TEXT_2", "\\[PERSON\\_1\\]"]
)
pieces_of_one = st.sampled_from(
    ["[", "]", "**", "\\", "_", "1", "b", " ", "PERSON", "IP_ADDRESS_", "S", "\u017f", "\u212a"]
)
parts = hidden | literals | pieces_of_one
texts = st.one_of(st.lists(parts, max_size=25).map("".join), st.text(max_size=60))


def cut(text: str, places: list[int]) -> list[str]:
    ends = sorted({min(place, len(text)) for place in places})
    return [text[start:end] for start, end in zip([0, *ends], [*ends, len(text)], strict=True)]


@given(texts, texts)
def test_what_was_hidden_is_restored_whatever_the_text(first: str, second: str) -> None:
    hidden_in = Pseudonyms(Marked())
    one, other = hidden_in.hide(first), hidden_in.hide(second)
    assert hidden_in.restore(one) == first
    assert hidden_in.restore(other) == second
    assert hidden_in.restore(one + other) == first + second


@given(texts, texts, st.lists(st.integers(0, 200), max_size=30))
def test_a_text_in_pieces_is_restored_as_in_one(hidden: str, answer: str, places: list[int]) -> None:
    known = Pseudonyms(Marked())
    text = known.hide(hidden) + answer
    restorer = known.restorer()
    pieces = [restorer.feed(piece) for piece in cut(text, places)]
    assert "".join([*pieces, restorer.finish()]) == known.restore(text)


@given(texts, texts)
def test_no_more_is_held_back_than_may_become_a_pseudonym(hidden: str, answer: str) -> None:
    known = Pseudonyms(Marked())
    restorer = known.restorer()
    text = known.hide(hidden) + answer
    for end in range(len(text) + 1):
        restorer.feed(text[end - 1 : end] if end else "")
        assert len(restorer._held) <= LONGEST
        if restorer._held:
            assert re.match(r"\\|\[|[A-Z]", restorer._held)


async def test_a_stream_is_restored_as_it_comes() -> None:
    known = pseudonyms("Maria Lopez")
    known.hide("Maria Lopez called.")

    async def pieces() -> AsyncIterator[str]:
        for piece in ("Tell ", "[PER", "SON_", "1] to", " rest.", ""):
            yield piece

    assert [piece async for piece in known.restore_stream(pieces())] == ["Tell ", "Maria Lopez to", " rest."]


def test_a_person_has_one_number_and_each_way_to_write_the_name_a_letter() -> None:
    known = pseudonyms("Maria Lopez", "Maria", "Ms. Lopez", "maria", "Lopez, Maria")
    text = "Maria Lopez came. Maria cried; maria's mother called Ms. Lopez. Re: Lopez, Maria. Maria Lopez left."
    hidden = known.hide(text)
    assert hidden == (
        "[PERSON_1] came. [PERSON_1b] cried; [PERSON_1c]'s mother called [PERSON_1d]. Re: [PERSON_1e]. [PERSON_1] left."
    )
    assert known.restore(hidden) == text


def test_two_with_one_family_name_are_two_and_the_name_alone_is_neither() -> None:
    known = pseudonyms("Maria Lopez", "Tomás Lopez", "Mr. Lopez", "Maria", "T. Lopez")
    assert known.hide("Maria Lopez and Tomás Lopez") == "[PERSON_1] and [PERSON_2]"
    assert known.hide("Mr. Lopez") == "[PERSON_3]"
    assert known.hide("Maria, T. Lopez") == "[PERSON_1b], [PERSON_2b]"


def test_the_same_number_in_all_texts_of_a_request() -> None:
    known = pseudonyms("Dr. Alan Reeves", "Reeves", "Alan")
    assert known.hide("Ask Reeves.") == "Ask [PERSON_1]."
    assert known.hide("Dr. Alan Reeves knows.") == "[PERSON_1b] knows."
    assert known.hide("Alan, then.") == "[PERSON_1c], then."


def test_a_number_is_the_same_with_other_blanks() -> None:
    known = Pseudonyms(Listed("937-555-0142", "(937) 555-0142", "937-555-0143", kind=PHONE))
    assert known.hide("937-555-0142, (937) 555-0142, 937-555-0143") == "[PHONE_1], [PHONE_1b], [PHONE_2]"
    assert known.kinds == {PHONE: 2}


@pytest.mark.parametrize(
    "written",
    [
        "[PERSON_1]",
        "[Person_1]",
        "[person 1]",
        "[ PERSON_1 ]",
        "[PERSON-1]",
        "PERSON_1",
        r"\[PERSON\_1\]",
        r"[PERSON\_1]",
        "[**PERSON_1**]",
    ],
)
def test_a_model_may_write_it_in_other_ways(written: str) -> None:
    known = pseudonyms("Maria Lopez")
    known.hide("Maria Lopez")
    assert known.restore(f"Ask {written}'s mother, **{written}**.") == "Ask Maria Lopez's mother, **Maria Lopez**."


@pytest.mark.parametrize(
    "written",
    [
        "[PERSON_2]",
        "[PERSON_1z]",
        "person_1",
        "person 1",
        "XPERSON_1",
        "PERSON_12",
        "PERSON_1st",
        "[PERSON_01]",
        "[PERSON]",
        "[TEXT_1]",
        "[PLACE_1]",
    ],
)
def test_what_was_not_given_out_stays(written: str) -> None:
    known = pseudonyms("Maria Lopez")
    known.hide("Maria Lopez")
    assert known.restore(f"Ask {written}.") == f"Ask {written}."


def test_a_pseudonym_in_the_text_is_not_taken_for_ours() -> None:
    known = pseudonyms("Maria Lopez")
    text = "[PERSON_1] wrote that Maria Lopez is PERSON_1 or [Person 2]."
    hidden = known.hide(text)
    assert hidden == "[TEXT_1] wrote that [PERSON_1] is [TEXT_1b] or [TEXT_2]."
    assert known.restore(hidden) == text


def test_a_text_that_cannot_be_read_is_not_returned() -> None:
    class Broken:
        def find(self, text: str) -> list[Identifier]:
            raise ValueError("unreadable")

    with pytest.raises(ValueError, match="unreadable"):
        Pseudonyms(Broken()).hide("Maria Lopez")


def test_nothing_shows_what_was_hidden(caplog: pytest.LogCaptureFixture) -> None:
    known = pseudonyms("Maria Lopez")
    known.hide("Maria Lopez")
    caplog.set_level(logging.INFO)
    logging.getLogger("test").info("%s %r %s", known, known, [known])
    assert "Lopez" not in caplog.text
    for copied in (pickle.dumps, copy.copy, copy.deepcopy, json.dumps):
        with pytest.raises(TypeError) as refused:
            copied(known)
        assert "Lopez" not in str(refused.value)


def test_many_persons_take_no_time_that_grows_with_their_square() -> None:
    """Each name is looked up among those with the same parts, of whom no more than a few are compared."""
    known = Pseudonyms(Listed("Maria"))
    people = known._people
    numbers = {people.number_of(f"Maria Name{'abcdefghij'[number % 10]}{number}") for number in range(3000)}
    assert len(numbers) == 3000
    assert people.number_of("Maria Namea0") == 1


def test_a_real_note_comes_back(real_note: str) -> None:
    known = Pseudonyms(make_recognizer())
    hidden = known.hide(real_note)
    for secret in ("Castellano", "Renee", "937-555-0142", "1979", "Pinewood"):
        assert secret not in hidden
    assert known.restore(hidden) == real_note
    assert known.kinds[PERSON] == 2


@pytest.fixture
def real_note() -> str:
    return (
        "Intake of Renee Castellano, DOB 7/4/1979, phone 937-555-0142, referred by Dr. Okafor, Pinewood Family Clinic. "
        "Renee sleeps badly; Ms. Castellano takes sertraline 50 mg."
    )
