"""Presidio as a recognizer. Runs where somebody has installed it; docs/adr/0054 says why no environment has it.

.venv/bin/pip install presidio-analyzer==2.2.366 && .venv/bin/python -m spacy download en_core_web_sm
"""

import socket
from typing import NoReturn

import pytest
from mh_common.identifiers import Recognizer, make_recognizer

pytest.importorskip("presidio_analyzer")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return make_recognizer()


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("tried to reach the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_both_recognize_and_nothing_leaves_the_machine(recognizer: Recognizer) -> None:
    text = "Prince Charming wrote to jo@example.org; see www.example.org. MRN 00482913, DBT, sertraline, from Mexico."
    hidden = [text[one.start : one.end] for one in recognizer.find(text)]
    assert hidden == ["Prince Charming", "jo@example.org", "www.example.org", "00482913"]
