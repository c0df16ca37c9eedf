"""What PHI_MODE lets out of a text, and how what comes back is restored."""

import logging
import traceback
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.identifiers import IdentifierKind
from mh_common.models import PhiMode
from mh_common.outgoing import IdentifiersFoundError, OutgoingTexts, RecognizerOnDemand, UnreadableTextError
from mh_devtools.stubs.recognizer_stub import StubRecognizer

NAMES = {"Okafor": IdentifierKind.PERSON, "Ruiz": IdentifierKind.PERSON, "Arkham": IdentifierKind.PLACE}
TEXT = "Okafor met Ruiz in Arkham. okafor wept."


@pytest.fixture
def recognizer() -> StubRecognizer:
    return StubRecognizer(NAMES)


def test_a_recognizer_on_demand_is_made_once_and_not_before_it_is_asked(recognizer: StubRecognizer) -> None:
    made: list[StubRecognizer] = []

    def make() -> StubRecognizer:
        made.append(recognizer)
        return recognizer

    on_demand = RecognizerOnDemand(make)
    assert made == []
    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(on_demand.find, [TEXT] * 50))
    assert found == [recognizer.find(TEXT)] * 50
    assert made == [recognizer]


def test_off_changes_nothing_and_looks_at_nothing(recognizer: StubRecognizer) -> None:
    recognizer.broken = True
    texts = OutgoingTexts(PhiMode.OFF, recognizer)
    assert not texts.are_checked
    assert texts.prepare(TEXT) == texts.restore(TEXT) == TEXT


def test_a_person_keeps_their_pseudonym_in_all_texts_of_a_request(recognizer: StubRecognizer) -> None:
    texts = OutgoingTexts(PhiMode.PSEUDONYMISE, recognizer)
    hidden = texts.prepare(TEXT)
    assert not any(name.casefold() in hidden.casefold() for name in NAMES)
    first, second = hidden.split(" met ")[0], hidden.split(" met ")[1].split(" in ")[0]
    assert first != second
    assert texts.prepare("Ask Ruiz about Okafor.") == f"Ask {second} about {first}."
    assert texts.restore(f"{first} and {second}") == "Okafor and Ruiz"


def test_a_map_is_that_of_one_request(recognizer: StubRecognizer) -> None:
    hidden = OutgoingTexts(PhiMode.PSEUDONYMISE, recognizer).prepare("Okafor")
    assert OutgoingTexts(PhiMode.PSEUDONYMISE, recognizer).restore(hidden) == hidden


def test_refuse_lets_out_texts_without_identifiers_alone(recognizer: StubRecognizer) -> None:
    texts = OutgoingTexts(PhiMode.REFUSE, recognizer)
    assert texts.prepare("A patient sleeps badly.") == "A patient sleeps badly."
    with pytest.raises(IdentifiersFoundError, match="PHI_MODE=refuse") as refused:
        texts.prepare(TEXT)
    assert "Okafor" not in str(refused.value)
    assert texts.restore("[PERSON_1]") == "[PERSON_1]"


@pytest.mark.parametrize("mode", [PhiMode.PSEUDONYMISE, PhiMode.REFUSE])
def test_what_cannot_be_read_is_not_sent_and_not_told(
    recognizer: StubRecognizer, mode: PhiMode, caplog: pytest.LogCaptureFixture
) -> None:
    recognizer.broken = True
    with caplog.at_level(logging.DEBUG), pytest.raises(UnreadableTextError) as failed:
        OutgoingTexts(mode, recognizer).prepare(TEXT)
    assert "identifiers_unreadable" in caplog.text
    shown = "".join(traceback.format_exception(failed.value)) + caplog.text
    assert "Okafor" not in shown


@given(
    st.lists(
        st.sampled_from(
            [
                "[PERSON_1]",
                "[PERSON_2]",
                "[PLACE_1]",
                "[PERSON_9]",
                "[1]",
                "[",
                "]",
                "PERSON_1",
                " and ",
                "[x" * 40,
                "é",
            ]
        ),
        max_size=8,
    ).map("".join),
    st.data(),
)
def test_a_stream_is_restored_like_the_whole_text_wherever_it_is_cut(text: str, data: st.DataObject) -> None:
    texts = OutgoingTexts(PhiMode.PSEUDONYMISE, StubRecognizer(NAMES))
    texts.prepare(TEXT)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    pieces = [text[start:end] for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    restorer = texts.restorer()
    assert "".join([*map(restorer.feed, pieces), restorer.finish()]) == texts.restore(text)


def test_only_what_may_still_become_a_pseudonym_is_held_back(recognizer: StubRecognizer) -> None:
    texts = OutgoingTexts(PhiMode.PSEUDONYMISE, recognizer)
    texts.prepare("Okafor")
    restorer = texts.restorer()
    given_out = [restorer.feed(piece) for piece in ("Let ", "[PER", "SON_1", "] rest", " [", "x" * 100)]
    assert given_out == ["Let ", "", "", "Okafor rest", " ", "[" + "x" * 100]
