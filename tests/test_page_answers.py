"""The counselor's page while an answer is streamed, in a real browser with the real gateway."""

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from mh_client import AnswerRisk
from mh_common.models import CheckedSentence, Doubt, ModelInfo, PhiMode, SentenceSupport
from mh_devtools import servers
from mh_devtools.servers import browser as browser_of_this_machine
from mh_devtools.servers import nginx
from mh_devtools.stubs.platform_stub import ACUTE, StubPlatform
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

MISSING = f"{nginx.MISSING}; or {browser_of_this_machine.MISSING}"
HERE = nginx.find_nginx() and browser_of_this_machine.find_browser()

TOKENS = ["At the", " same hour", " [1]."]

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
    stub.feedback.clear()
    before = stub.noticed
    yield stub
    stub.risk_pauses, stub.stream_pauses, stub.stream_end, stub.uncited = False, False, None, []
    stub.checked, stub.languages, stub.tokens = [], (None, None), TOKENS
    stub.noticed, stub.stored_after = before, 0


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


def test_who_gets_a_question_is_said_before_it_is_asked(page: Chrome, stub: StubPlatform) -> None:
    wait_for(page, "#ask-recipient", "No language model is asked. What you type stays on this platform.")
    here, former = stub.about.embedding, stub.about
    remote = ModelInfo(name="gpt", recipient="api.openai.com", remote=True, phi_mode=PhiMode.PSEUDONYMISE)
    try:
        stub.about = former.model_copy(update={"answers": "model", "language_model": remote})
        page.refresh()
        wait_for(page, "#ask-recipient", "are sent to api.openai.com (gpt), with pseudonyms in place of the names")
        assert "stay in them" in find(page, "#ask-recipient").text
        local = remote.model_copy(update={"recipient": "this machine", "remote": False, "phi_mode": PhiMode.OFF})
        elsewhere = here.model_copy(update={"recipient": "tei.example", "remote": True, "phi_mode": PhiMode.REFUSE})
        stub.about = former.model_copy(update={"language_model": local, "embedding": elsewhere})
        page.refresh()
        told = "Answers are written by gpt (this machine). What you type is sent to tei.example"
        wait_for(page, "#ask-recipient", told)
        find(page, "nav [data-view=search]").click()
        wait_for(page, "#search-recipient", "for the search, unless names or other identifiers are recognised")
    finally:
        stub.about = former


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


def test_sentences_that_sources_do_not_support_are_marked_with_the_reason(page: Chrome, stub: StubPlatform) -> None:
    stub.tokens = ["At the same hour. [1]", " Take three", "\npills [1].", " Rise early [1]."]
    stub.checked = [
        CheckedSentence(text="At the same hour [1].", support=SentenceSupport.SUPPORTED, cites=[1], supported_by=[1]),
        CheckedSentence(
            text="Take three\npills [1].", support=SentenceSupport.UNSUPPORTED, cites=[1], doubt=Doubt.NUMBER
        ),
        CheckedSentence(text="Rise early [1].", support=SentenceSupport.NOT_CHECKED, cites=[1]),
    ]
    stub.languages = ("en", "de")
    ask(page, "How do I help a patient who cannot sleep?")
    wait_for(page, "#answer .doubts", "Read these sentences in their sources before you rely on them.")
    marks = page.find_elements(By.CSS_SELECTOR, "#answer mark.doubt")
    assert [" ".join(mark.text.split()) for mark in marks] == ["Take three pills [1].", "Rise early [1]."]
    assert marks[0].get_attribute("title") == "it has a number that is not in the source that it cites"
    told = find(page, "#answer .doubts").text
    assert "it has a number that is not in the source" in told
    assert "it could not be compared" in told
    assert find(page, "#answer").text.startswith("At the same hour. [1] Take three")
    assert "It is in German, although the question is in English." in find(page, "#answer > small").text
    marks[0].find_element(By.CSS_SELECTOR, "a").click()
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
    assert find(page, "#risk").text == ""
    stub.noticed = ACUTE
    ask(page, "too much")
    wait_for(page, "#risk-line", "Acute risk noticed")
    assert find(page, "#risk-details").is_displayed()


RISKY = "He wants to take them all tonight"


def texts(page: Chrome, css: str) -> list[str]:
    return [element.text for element in page.find_elements(By.CSS_SELECTOR, css)]


def test_a_notice_is_shown_before_the_first_word(page: Chrome, stub: StubPlatform) -> None:
    stub.noticed, stub.risk_pauses = ACUTE, True
    ask(page, RISKY)
    wait_for(page, "#risk-line", "Acute risk noticed: suicide")
    assert not find(page, "#answer").is_displayed()
    assert find(page, "#risk .facts").text == "level: acute, suicide · to the answer"
    assert texts(page, "#risk mark") == ["take them all tonight"]
    assert find(page, "#risk .seen").text == RISKY
    assert texts(page, "#risk li") == [
        "Plan: have they thought about how?",
        "Means: what is within reach?",
        "US · 988 Suicide & Crisis Lifeline · 988 · text 988 · 988lifeline.org · 24/7",
        "CL · *4141 · *4141 · unchecked since 2025-03-01 · From mobile phones.",
    ]
    links = [link.get_attribute("href") for link in page.find_elements(By.CSS_SELECTOR, "#risk a")]
    assert links == [f"{page.current_url}#answer", "tel:988", "https://988lifeline.org/", "tel:*4141"]
    assert "Numbers marked as unchecked must be verified first." in find(page, "#risk-details").text
    # A screen reader announces the line and not all that is below it; nothing takes the focus.
    assert find(page, "#risk-line").get_attribute("role") == "status"
    assert page.find_elements(By.CSS_SELECTOR, "[role=status] li") == []
    assert page.switch_to.active_element == find(page, "#ask button")

    stub.risk_pauses = False
    wait_for(page, "#answer", "At the same hour [1].")
    tops = [find(page, css).location["y"] for css in ("#risk-line", "#risk-details", "#answer", "#conversations")]
    assert tops == sorted(tops)


def test_a_notice_that_is_not_relevant_is_folded_and_recorded(page: Chrome, stub: StubPlatform) -> None:
    stub.noticed, stub.stream_pauses, stub.stored_after = ACUTE, True, 1
    ask(page, RISKY)
    wait_for(page, "#answer", "At the same hour")
    find(page, "#risk-toggle").click()
    folded = "Risk noticed (acute, suicide), marked as not relevant."
    assert find(page, "#risk-line").text == folded
    assert not find(page, "#risk-details").is_displayed()
    assert page.switch_to.active_element == find(page, "#risk-toggle")
    assert stub.feedback == []

    # It is recorded as soon as the answer is stored.
    stub.stream_pauses = False
    wait_for(page, "#message", "Thank you for your feedback.")
    assert stub.feedback == [{"risk_notice": "not_relevant"}] * 2
    page.find_element(By.XPATH, "//section[@id='answer']/button[text()='Helpful']").click()
    WebDriverWait(page, 30).until(lambda _: len(stub.feedback) == 3)
    assert stub.feedback[-1] == {"rating": "up"}
    assert find(page, "#risk-line").text == folded

    assert find(page, "#risk-toggle").text == "Relevant after all"
    find(page, "#risk-toggle").click()
    WebDriverWait(page, 30).until(lambda _: len(stub.feedback) == 4)
    assert stub.feedback[-1] == {"risk_notice": "relevant"}
    assert find(page, "#risk-line").text.startswith("Acute risk noticed")
    assert find(page, "#risk-details").is_displayed()


def test_the_notice_goes_with_its_question(page: Chrome, stub: StubPlatform) -> None:
    before, stub.noticed = stub.noticed, ACUTE
    ask(page, RISKY)
    wait_for(page, "#risk-line", "Acute risk noticed")
    wait_for(page, "#answer", "Quoted")
    stub.noticed = before
    ask(page, "How do I help a patient who cannot sleep?")
    wait_for(page, "#answer", "Quoted")
    assert find(page, "#risk").text == ""
    assert find(page, "#risk").get_attribute("aria-label") is None

    stub.noticed = AnswerRisk()
    ask(page, "How do I help a patient who cannot sleep?")
    wait_for(page, "#risk-line", "This question was not screened for risk.")
    assert not find(page, "#risk-toggle").is_displayed()


def test_a_search_says_in_one_line_what_was_noticed(page: Chrome, stub: StubPlatform) -> None:
    stub.noticed = ACUTE
    find(page, "[data-view=search]").click()
    find(page, "#query").send_keys("take them all tonight")
    find(page, "#search button").click()
    wait_for(page, "#message", "One conversation found.")
    assert find(page, "#risk").text == "Acute risk noticed: suicide (“take them all tonight”). Act first."
    find(page, "[data-view=browse]").click()
    assert find(page, "#risk").text == ""


def test_the_words_noticed_are_marked_wherever_they_are(page: Chrome) -> None:
    question = f"😀 {'a' * 200} <b>kill himself tonight</b>, or {'b' * 400} hurt her 😀"
    words = [
        ("kill himself tonight", "acute"),
        ("himself", "elevated"),
        ("himself tonight", "acute"),
        ("hurt her", "elevated"),
    ]
    spans = [
        {"start": (start := question.index(text)), "end": start + len(text), "category": "suicide", "level": level}
        for text, level in reversed(words)
    ]
    spans.append({"start": 0, "end": 5, "category": "suicide", "level": "low"})
    risk = {"level": "acute", "categories": ["suicide", "harm_to_others"], "spans": spans, "screened": True}
    notice: dict[str, Any] = {"summary": "Noticed <i>", "questions": [], "helplines": [], "helplines_note": None}
    page.execute_script(
        "showRisk({ risk: arguments[0], risk_notice: arguments[1] }, arguments[2])", risk, notice, question
    )
    assert texts(page, "#risk mark") == ["kill himself tonight", "hurt her"]
    first, second = texts(page, "#risk .seen")
    # Only whole words are shown around them.
    assert (first, second) == ("… <b>kill himself tonight</b>, or …", "… hurt her 😀")
    assert find(page, "#risk .facts").text == "level: acute, suicide, harm to others · to the answer"
    assert find(page, "#risk-line").text == "Noticed <i>"
