"""The output of `mh ask`."""

import json
import subprocess
import sys
from functools import partial

import pytest
from mh_devtools.stubs.platform_stub import StubPlatform
from mh_devtools.testing.fixtures import RunCommand

SOURCES = "Sources (extractive):\n[1] conversation 7, score 0.750: How do I sleep?\n"


@pytest.fixture
def ask(mh: RunCommand) -> RunCommand:
    return partial(mh, "ask")


def test_the_answer_is_printed_with_its_sources(stub: StubPlatform, ask: RunCommand) -> None:
    assert ask("bus", "--top-k", "2") == (0, f"At the same hour [1].\n\n{SOURCES}", "")
    assert stub.queries == [{"question": "bus", "top_k": 2}]
    assert json.loads(ask("bus", "--json")[1])["model"] == "extractive"


def test_sentences_without_a_source_are_listed(stub: StubPlatform, ask: RunCommand) -> None:
    stub.uncited = ["Be \x1b[31mkind."]
    expected = f"At the same hour [1].\n\nSentences without a source:\n- Be [31mkind.\n\n{SOURCES}"
    assert ask("bus") == (0, expected, "")


def test_control_characters_are_removed(stub: StubPlatform, ask: RunCommand) -> None:
    stub.tokens = ["At \x1b[31m", "\x07night."]
    assert ask("bus")[1].startswith("At [31mnight.\n")


def test_an_interrupted_answer_is_reported_on_its_own_line(stub: StubPlatform, ask: RunCommand) -> None:
    stub.stream_end = ""
    code, output, errors = ask("bus")
    assert (code, output) == (3, "At the same hour\n")
    assert errors.startswith(
        "mh: POST /api/v1/answers was disconnected before the end of the answer, which is incomplete"
    )
    assert errors.count("\n") == 1


def test_text_is_printed_as_it_is_streamed(stub: StubPlatform) -> None:
    stub.stream_pauses = True
    command = [sys.executable, "-m", "mh_client.cli", "ask", "bus"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        # The stub continues only after this was read.
        assert process.stdout.read(len("At the same hour")) == "At the same hour"
        stub.stream_pauses = False
        assert process.stdout.read() == f" [1].\n\n{SOURCES}"
    assert process.returncode == 0
