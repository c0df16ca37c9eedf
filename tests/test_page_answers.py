"""The counselor's page while an answer is streamed, in a real browser with the real gateway."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from mh_devtools import servers
from mh_devtools.servers import browser as browser_of_this_machine
from mh_devtools.servers import nginx
from mh_devtools.stubs.platform_stub import StubPlatform
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

MISSING = f"{nginx.MISSING}; or {browser_of_this_machine.MISSING}"
HERE = nginx.find_nginx() and browser_of_this_machine.find_browser()

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not HERE and os.environ.get("CI") != "true", reason=MISSING)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Chrome, StubPlatform, str]]:
    """A browser, a platform whose answers can be delayed, and the URL of its gateway."""
    port = servers.free_port()
    with ExitStack() as stack:
        stub = stack.enter_context(StubPlatform.running())
        upstream = f"server {stub.base_url.removeprefix('http://')};"
        values = {"CONVERSATIONS_UPSTREAM": upstream, "RAG_UPSTREAM": upstream}
        values |= {"GATEWAY_RATE": "1000r/s", "GATEWAY_ANSWERS_RATE": "1000r/s"}
        values |= {"GATEWAY_BURST": "1000", "GATEWAY_ANSWERS_BURST": "1000"}
        stack.callback(nginx.start_nginx(tmp_path_factory.mktemp("nginx"), port, values).stop)
        yield stack.enter_context(browser_of_this_machine.chromium()), stub, f"http://127.0.0.1:{port}"


@pytest.fixture
def stub(running: tuple[Chrome, StubPlatform, str]) -> Iterator[StubPlatform]:
    """The platform, which answers immediately and completely unless a test changes that."""
    _, stub, _ = running
    stub.queries.clear()
    yield stub
    stub.stream_pauses, stub.stream_end, stub.uncited = False, None, []


@pytest.fixture
def page(running: tuple[Chrome, StubPlatform, str], stub: StubPlatform) -> Chrome:
    """The page, freshly opened."""
    chrome, _, url = running
    chrome.get(url)
    return chrome


def find(page: Chrome, css: str) -> WebElement:
    return page.find_element(By.CSS_SELECTOR, css)


def wait_for(page: Chrome, css: str, text: str) -> None:
    WebDriverWait(page, 30).until(lambda _: text in find(page, css).text)


def ask(page: Chrome, question: str) -> None:
    find(page, "#question").clear()
    find(page, "#question").send_keys(question)
    find(page, "#ask button").click()


def test_sources_and_words_are_shown_while_the_answer_is_written(page: Chrome, stub: StubPlatform) -> None:
    stub.stream_pauses = True
    ask(page, "How do I help a patient who cannot sleep?")
    wait_for(page, "#answer", "At the same hour")
    assert find(page, "#conversations .question").text == "How do I sleep?"
    assert find(page, "#answer").get_attribute("aria-busy") == "true"
    assert "[1]" not in find(page, "#answer").text
    assert find(page, "#stop").is_displayed()

    stub.uncited = ["At the same hour [1]."]
    stub.stream_pauses = False
    wait_for(page, "#answer", "At the same hour [1].")
    WebDriverWait(page, 30).until(lambda _: not find(page, "#stop").is_displayed())
    assert find(page, "#answer").get_attribute("aria-busy") == "false"
    assert "not written by a language model" in find(page, "#answer small").text
    find(page, "#answer a").click()
    assert page.current_url.endswith("#source-1")


def test_an_answer_can_be_stopped(page: Chrome, stub: StubPlatform) -> None:
    stub.stream_pauses = True
    ask(page, "How do I help a patient who cannot sleep?")
    wait_for(page, "#answer", "At the same hour")
    find(page, "#stop").click()
    wait_for(page, "#message", "Stopped; the answer is incomplete.")
    assert not find(page, "#stop").is_displayed()
    assert find(page, "#answer").text == "At the same hour"
    # There are no follow-up questions to a stopped answer.
    assert not find(page, "#follow-up").is_displayed()


def test_a_new_question_takes_the_place_of_the_one_under_way(page: Chrome, stub: StubPlatform) -> None:
    stub.stream_pauses = True
    ask(page, "First?")
    wait_for(page, "#answer", "At the same hour")
    stub.stream_pauses = False
    ask(page, "Second?")
    wait_for(page, "#answer", "At the same hour [1].")
    assert len(page.find_elements(By.CSS_SELECTOR, "#conversations li")) == 1
    assert find(page, "#answer").text.count("At the same hour") == 1


def test_a_question_can_follow_up_on_the_last_answer(page: Chrome, stub: StubPlatform) -> None:
    ask(page, "How do I help a patient who cannot sleep?")
    WebDriverWait(page, 30).until(lambda _: find(page, "#follow-up").is_displayed())
    find(page, "#follow-up input").click()
    ask(page, "And before exams?")
    wait_for(page, "#answer", "Quoted")
    assert stub.queries[0]["conversation_history"] == []
    assert stub.queries[1]["conversation_history"] == [
        {"role": "user", "content": "How do I help a patient who cannot sleep?"},
        {"role": "assistant", "content": "At the same hour [1]."},
    ]


def test_what_goes_wrong_midway_is_said_beside_what_came(page: Chrome, stub: StubPlatform) -> None:
    stub.uncited = ["At the same hour."]
    problem = json.dumps({"title": "Bad Gateway", "status": 502, "detail": "The language model broke off."})
    stub.stream_end = f"event: error\ndata: {problem}\n\n"
    ask(page, "How?")
    wait_for(page, "#message", "The language model broke off.")
    assert find(page, "#message").get_attribute("class") == "error"
    assert find(page, "#answer").text == "At the same hour"
    assert find(page, "#conversations .question").text == "How do I sleep?"

    stub.stream_end = ""
    ask(page, "How?")
    wait_for(page, "#message", "The connection was lost; the answer is incomplete.")


def test_what_goes_wrong_before_the_answer_is_said(page: Chrome, stub: StubPlatform) -> None:
    ask(page, "too much")
    wait_for(page, "#message", "The stub refuses.")
    assert not find(page, "#stop").is_displayed()
    assert not find(page, "#answer").is_displayed()
