"""Sentiment labels by VADER."""

import pytest
from mh_client import Sentiment
from mh_client.labelling import label


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I am so happy and grateful, thank you!", Sentiment.POSITIVE),
        ("I hate this terrible, horrible pain.", Sentiment.NEGATIVE),
        ("The session is at noon.", Sentiment.NEUTRAL),
        ("", Sentiment.NEUTRAL),
        ("😊", Sentiment.POSITIVE),
    ],
)
def test_a_text_is_labelled_by_its_words(text: str, expected: Sentiment) -> None:
    assert label(text) is expected
