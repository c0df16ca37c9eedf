"""The built-in recognizer: what it hides, what it leaves, and that it can read anything."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mh_common.identifiers import Identifier, IdentifierKind, Recognizer, make_recognizer
from mh_common.identifiers.built_in import BuiltInRecognizer
from mh_common.identifiers.recognizers import JoinedRecognizer
from mh_devtools.identifiers.evaluate import measure
from mh_devtools.identifiers.notes import parse_note, read_notes

K = IdentifierKind
DEVELOPMENT_NOTES = Path(__file__).parent / "development_notes.txt"

BUILT_IN = BuiltInRecognizer()


def hidden(text: str) -> list[tuple[IdentifierKind, str]]:
    return [(one.kind, text[one.start : one.end]) for one in BUILT_IN.find(text)]


def test_figures_on_the_development_notes() -> None:
    figures = measure(read_notes(DEVELOPMENT_NOTES), BUILT_IN)
    assert figures.recall.all >= 200
    assert (figures.recall.value or 0) >= 0.97
    assert (figures.precision.value or 0) >= 0.95
    assert (figures.clean_words_hidden.value or 1) <= 0.02


@pytest.mark.parametrize(
    "marked",
    [
        "talked to [NAME|maria] about it",
        "My client [NAME|Jayden]'s mother, [NAME|Keisha Brown], called.",
        "Seen with [NAME|J. P.] and [NAME|Sara O'Neill].",
        "[NAME|MS. LOPEZ] WAS LATE AGAIN AND UPSET.",
        "[NAME|Juan de la Cruz] met [NAME|Mr. Will].",
        "Her son [NAME|Hope]? No: my daughter [NAME|Hope].",
        "[NAME|Mx. Quillfeather] left. Later [NAME|quillfeather]'s aunt came.",
        "[NAME|Zdravkodimov] came on time, they say [NAME|Zdravkodimov] slept.",
        "[NAME|Ashley H.], [NAME|Cam] and [NAME|Lopez, M.] were there; the [NAME|Pike] family was not.",
        "meine Tochter [NAME|Aylin] und ich",
        "Me llamo [NAME|Lucía] y vivo con mi madre",
        "[NAME|Jo\u200bhn] called",
        "He lives in [PLACE|Quanah] now.",
        "She grew up in [PLACE|Brantley Hollow] near [PLACE|Dayton, Ohio].",
        "i live in [PLACE|dayton] with my cat",
        "Mail: [PLACE|482 Maple Street, Apt 4B, Dayton, OH 45402].",
        "[NAME|Frau Abt], [PLACE|Lindenstraße 14, 50674 Köln]; [PLACE|Calle Mayor 12, 28013 Madrid]",
        "Works at [ORG|Riverside Bakery]; son at [ORG|Lincoln Middle School].",
        "Seen on [DATE|03/14/1988], [DATE|14.03.1988], [DATE|1988-03-14] and [DATE|Mar 14th].",
        "RTC [DATE|10/17], from [DATE|the 3rd] to [DATE|June 2024].",
        "Le [DATE|2 juin 2024], el [DATE|3 de mayo], am [DATE|4. Juni].",
        "She is [AGE|93 years old]; he turned [AGE|91].",
        "Call [PHONE|(937) 555-0142 ext. 7] or [PHONE|+44 7700 900123]. Fax: [FAX|937-555-0143].",
        "[EMAIL|t.lopez88@gmail.com], [EMAIL|kenji at nakamura dot org]",
        "SSN [SSN|512-44-9087], last four [SSN|9087]",
        "MRN: [MRN|00482913], member ID [PLAN|W2389 45671], [PLAN|1EG4-TE5-MK73]",
        "to [ACCT|DE89 3704 0044 0532 0130 00], Visa [ACCT|4111 1111 1111 1111]",
        "NPI [LIC|1234567893], license no. [LIC|LPC-0031877]",
        "VIN [VIN|1HGCM82633A004352], plate [VEH|8XKD294]",
        "pump S/N [DEV|221045993]",
        "see [URL|https://example.org/me?x=1].",
        "from [IP|192.168.14.77] and [IP|fe80::1ff:fe23:4567:890a]",
        "Fingerprint template [BIO|FP-99812-A]; photo [PHOTO|IMG_20240301_lopez.jpg]",
        "Case number [ID|C-2021-118834], passport [ID|X04417732], her user is [ID|moonie2x]",
    ],
)
def test_hidden(marked: str) -> None:
    note = parse_note(marked)
    assert hidden(note.text) == [(mark.kind, note.text[mark.start : mark.end]) for mark in note.marks]


@pytest.mark.parametrize(
    "text",
    [
        "Beck Depression Inventory 22, Hamilton scale 14, PHQ-9 of 17, GAD-7 of 12, ICD-10 F33.1, CPT 90837.",
        "We read Viktor Frankl; Gottman and Freud were mentioned. Jesus helps her.",
        "A child with Down syndrome, a father with Parkinson's and Alzheimer's disease.",
        "In May and June she was well; on Mondays and at Christmas she cried. Since 2019 it got worse.",
        "Will she mark her progress? Hope and faith help, may it last. A ray of joy in summer.",
        "I am from Texas and moved to Germany; my parents are from Mexico.",
        "Sertraline 100 mg, Seroquel 25 mg at night, no Xanax; 3 times a day for 10 days, at 7:30.",
        "Pain 7/10, mood 4/10, 24/7, 1990s, $1,450, 50%, BP 120/80, 12 steps.",
        "She is 45, has been sober for 91 days and did 95 push-ups.",
        "My husband is an alcoholic and my mother has cancer. My boyfriend won't talk to me anymore.",
        "Cognitive Behavioral Therapy and Dialectical Behavior Therapy. The Crisis Center. A mental health clinic.",
        "Ich habe Angst vor der Arbeit und kann nicht schlafen. Der Arzt sagt, es sei eine Depression.",
        "Mi hija está triste y no quiere ir a la escuela. Los lunes son peores.",
        "Ma fille est triste et ne veut plus aller à l'école. Le lundi est pire.",
    ],
)
def test_left(text: str) -> None:
    assert hidden(text) == []


def test_a_name_is_hidden_wherever_it_is_in_the_text() -> None:
    text = "My client Hope Zabrowski is 19. Hope's aunt called. ZABROWSKI, HOPE; zabrowski again. I hope it lasts."
    assert [span for _, span in hidden(text)] == ["Hope Zabrowski", "Hope", "ZABROWSKI, HOPE", "zabrowski"]


def test_joined_recognizers_hide_what_either_finds() -> None:
    class Says:
        def __init__(self, *spans: tuple[int, int]) -> None:
            self._found = [Identifier(start, end, K.PERSON) for start, end in spans]

        def find(self, text: str) -> list[Identifier]:
            return self._found

    joined: Recognizer = JoinedRecognizer([Says((0, 4), (10, 12)), Says((2, 6), (12, 14))])
    assert [(one.start, one.end) for one in joined.find("")] == [(0, 6), (10, 12), (12, 14)]


words = st.sampled_from(
    ["Maria", "lopez", "Dr.", "J.", "de la", "MRN", "no", "June", "Street", "School", "lives", "in", "at"]
)
marks = st.sampled_from(
    ["@", ".", ",", ":", "-", "'", "\n", "\t", "[", "(", ")", "/", "#", "--", "::", "O'", "\u2019s"]
)
numbers = st.sampled_from(["12", "555-0142", "03/14", "3rd", "1.", "IMG_", "ninety", "x@y.z", "www."])
others = st.sampled_from(["ß", "İ", "\u0301", "\u200b", "水", "😊", "مريم"])
fragments = words | marks | numbers | others
texts = st.one_of(
    st.text(max_size=120), st.lists(fragments, max_size=60).map(" ".join), st.lists(fragments, max_size=60).map("".join)
)


@given(texts)
def test_whatever_the_text_the_spans_are_in_order_inside_it_and_apart(text: str) -> None:
    end = 0
    for one in BUILT_IN.find(text):
        assert end <= one.start < one.end <= len(text)
        end = one.end


HOSTILE = (
    *("a", "1 ", "1-", "a.", "a@", "Maria ", "J. ", "de la ", "MRN ", "12/", "::", "San ", "St. ", "No. 1 ", "mother "),
    *("A1-", "June ", "3 ", "School of ", "Lopez, ", "http://", "90 ", "in the "),
)


@pytest.mark.parametrize("piece", HOSTILE)
def test_a_hostile_text_is_read_in_time(piece: str) -> None:
    """An expression that tries all ways to match would never end."""
    text = piece * (6_000 // len(piece))
    assert all(one.end <= len(text) for one in BUILT_IN.find(text))


def test_one_recognizer_for_all() -> None:
    assert isinstance(make_recognizer(), BuiltInRecognizer)
