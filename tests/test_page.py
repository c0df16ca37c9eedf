"""The counselor's page in a real browser, behind the real gateway, on the real platform."""

import os
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest
from mh_client import Client, IndexStatus, RiskNoticeRating, Sentiment
from mh_client.resources._fields import Details
from mh_devtools import servers
from mh_devtools.servers import browser as browser_of_this_machine
from mh_devtools.servers import nginx
from mh_devtools.stack.server_stack import ServerStack
from mh_devtools.testing.waiting import wait_until
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

MISSING = f"{nginx.MISSING}; or {browser_of_this_machine.MISSING}"
HERE = nginx.find_nginx() and browser_of_this_machine.find_browser()

pytestmark = [pytest.mark.e2e, pytest.mark.skipif(not HERE and os.environ.get("CI") != "true", reason=MISSING)]

# Markup in a row must be shown as text, never rendered. Search takes the tags of HTML texts away beforehand; an svg is
# none of these, but a browser would run it.
HOSTILE = 'My patient panics on the bus <svg onload="document.title=1">'
ROWS = [
    (
        HOSTILE,
        "After panic on the bus, ride one stop with a friend first, then alone. Slow breathing helps in between.",
        Sentiment.NEGATIVE,
    ),
    (
        "My mother died in spring and I cannot cry.",
        "Grief has no timetable. Ask what he misses most.",
        Sentiment.NEGATIVE,
    ),
    ("We talk again, thank you!", "That took courage from both of you. Keep the weekly hour.", Sentiment.POSITIVE),
]

SOURCE = "https://example.org/questions/42?a=b&c=(d)"
HOSTILE_CATEGORY = "<img src=x onerror=\"document.title='owned'\">"
SOURCED: Details = {"source_url": SOURCE, "source_date": date(2021, 1, 1), "category": HOSTILE_CATEGORY}


@pytest.fixture(scope="module")
def gateway(platform: ServerStack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """URL of the gateway, with a few conversations."""
    port = servers.free_port()
    upstreams = {"CONVERSATIONS_UPSTREAM": platform.api_url, "RAG_UPSTREAM": platform.rag_url}
    values = {name: f"server {url.removeprefix('http://')};" for name, url in upstreams.items()}
    rates = {"GATEWAY_RATE": "1000r/s", "GATEWAY_ANSWERS_RATE": "1000r/s"}
    bursts = {"GATEWAY_BURST": "1000", "GATEWAY_ANSWERS_BURST": "1000"}
    server = nginx.start_nginx(tmp_path_factory.mktemp("nginx"), port, {**values, **rates, **bursts})
    yield f"http://127.0.0.1:{port}"
    server.stop()


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    """One browser for all tests."""
    with browser_of_this_machine.chromium() as chrome:
        yield chrome


@pytest.fixture
def page(browser: Chrome, gateway: str) -> Iterator[Chrome]:
    """The page, freshly opened with three indexed conversations; nothing on it may fail to load."""
    with Client(gateway) as client:
        while ids := [row.id for row in client.conversations.list(limit=200).items]:
            client.conversations.bulk_delete(ids)
        for question, answer, sentiment in ROWS:
            client.conversations.create(
                question=question,
                answer=answer,
                question_sentiment=sentiment,
                answer_sentiment=Sentiment.NEUTRAL,
                **(SOURCED if question == ROWS[1][0] else {}),
            )
        wait_until(lambda: client.conversations.stats().index_status[IndexStatus.PENDING] == 0)
    browser.get(gateway)
    yield browser
    assert [entry["message"] for entry in browser.get_log("browser")] == []


def submit(page: Chrome, form: str, **fields: str) -> None:
    for name, text in fields.items():
        page.find_element(By.CSS_SELECTOR, f"#{form} [name={name}]").send_keys(text)
    page.find_element(By.CSS_SELECTOR, f"#{form} button").click()


def shown(page: Chrome, css: str) -> list[str]:
    """The visible texts of these elements, once there are any."""
    WebDriverWait(page, 30).until(lambda _: page.find_elements(By.CSS_SELECTOR, css))
    return [element.text for element in page.find_elements(By.CSS_SELECTOR, css)]


def test_a_question_is_answered_with_links_to_its_sources(page: Chrome) -> None:
    submit(page, "ask", question="panics on the bus?")

    assert shown(page, "#conversations .question")[0] == HOSTILE
    assert page.title == "Mental health conversations"
    answer = page.find_element(By.ID, "answer")
    WebDriverWait(page, 30).until(lambda _: answer.get_attribute("aria-busy") == "false")
    links = page.find_elements(By.CSS_SELECTOR, "#answer a")
    assert links[0].text == "[1]"
    links[0].click()
    assert page.current_url.endswith("#source-1")
    assert page.find_element(By.ID, "source-1").is_displayed()


def test_browsing_finds_words_and_filters_sentiments(page: Chrome) -> None:
    page.find_element(By.CSS_SELECTOR, "[data-view=browse]").click()
    submit(page, "browse", q="mother")
    assert shown(page, "#conversations .question") == [ROWS[1][0]]

    page.find_element(By.ID, "words").clear()
    submit(page, "browse", question_sentiment="positive")
    WebDriverWait(page, 30).until(lambda _: shown(page, "#conversations .question") == [ROWS[2][0]])
    assert page.find_element(By.ID, "message").text == "1 of 1 conversations."


def test_answers_with_harmful_advice_are_marked_and_can_be_browsed_alone(page: Chrome, gateway: str) -> None:
    with Client(gateway) as client:
        content: dict[str, Any] = {"question_sentiment": "negative", "answer_sentiment": "neutral"}
        client.conversations.create(question="Pills?", answer="Sleep well. Stop taking your pills.", **content)
        wait_until(lambda: client.conversations.stats().index_status[IndexStatus.PENDING] == 0)
    page.find_element(By.CSS_SELECTOR, "[data-view=browse]").click()
    submit(page, "browse")
    assert len(shown(page, "#conversations .question")) == len(ROWS) + 1
    [mark] = shown(page, "#conversations .review")
    assert mark.startswith("For curators: this answer may give advice that can do harm (stopping, changing or refusing")

    page.find_element(By.CSS_SELECTOR, "#browse [name=unsafe]").click()
    submit(page, "browse")
    WebDriverWait(page, 30).until(lambda _: shown(page, "#conversations .question") == ["Pills?"])
    assert page.find_element(By.ID, "message").text == "1 of 1 conversations."


def test_searching_by_meaning_shows_the_nearest_first(page: Chrome) -> None:
    page.find_element(By.CSS_SELECTOR, "[data-view=search]").click()
    submit(page, "search", query="the loss of a parent")

    assert shown(page, "#conversations .question")[0] == ROWS[1][0]
    assert "score 0." in shown(page, "#conversations .facts")[0]


def test_a_search_marks_the_words_that_it_found(page: Chrome) -> None:
    page.find_element(By.CSS_SELECTOR, "[data-view=search]").click()
    submit(page, "search", query="panic bus")

    assert shown(page, "#conversations .question")[0] == HOSTILE
    assert shown(page, "#conversations li:first-child mark") == ["panics", "bus", "panic", "bus"]


def test_a_source_is_a_link_and_a_hostile_text_is_a_text(page: Chrome) -> None:
    page.find_element(By.CSS_SELECTOR, "[data-view=browse]").click()
    submit(page, "browse", q="mother")
    assert shown(page, "#conversations .facts")[0].endswith(
        f"· {HOSTILE_CATEGORY} · 2021-01-01 · source at example.org"
    )
    [link] = page.find_elements(By.CSS_SELECTOR, "#conversations .facts a")
    assert link.get_attribute("href") == SOURCE
    assert link.get_attribute("rel") == "noopener noreferrer"


def test_nothing_but_a_web_address_becomes_a_link(page: Chrome) -> None:
    # The API rejects others, but a row can be written directly.
    row = {"id": 1, "question": "q", "answer": "a", "source_url": "javascript:document.title='run'"}
    page.execute_script("show([arguments[0]])", row)
    assert shown(page, "#conversations .facts") == ["conversation 1"]
    assert page.find_elements(By.CSS_SELECTOR, "#conversations .facts a") == []


def test_a_search_for_something_else_says_that_nothing_is_about_it(page: Chrome) -> None:
    page.find_element(By.CSS_SELECTOR, "[data-view=search]").click()
    submit(page, "search", query="how to bake sourdough bread")

    assert len(shown(page, "#conversations li")) == len(ROWS)
    assert page.find_element(By.ID, "message").text.startswith("Nothing relevant found.")


def test_questions_like_one_are_a_click_away(page: Chrome) -> None:
    page.find_element(By.CSS_SELECTOR, "[data-view=browse]").click()
    submit(page, "browse", q="mother")
    assert shown(page, "#conversations .question") == [ROWS[1][0]]

    page.find_element(By.CSS_SELECTOR, "#conversations li button").click()

    WebDriverWait(page, 30).until(lambda _: "Questions similar to" in page.find_element(By.ID, "message").text)
    assert set(shown(page, "#conversations .question")) == {HOSTILE, ROWS[2][0]}


def test_an_answer_can_be_rated(page: Chrome) -> None:
    submit(page, "ask", question="panics on the bus?")
    shown(page, "#answer small")

    def rated(_: Chrome) -> bool:
        # The answer is stored shortly after the response.
        page.find_element(By.XPATH, "//section[@id='answer']/button[text()='Helpful']").click()
        WebDriverWait(page, 30).until(lambda _: message() not in ("", "Loading …"))
        return message() == "Thank you for your feedback."

    def message() -> str:
        return page.find_element(By.ID, "message").text

    WebDriverWait(page, 30).until(rated)
    # The browser itself logs every 404.
    page.get_log("browser")


def test_risk_is_shown_first_and_what_is_said_of_it_is_kept(page: Chrome, gateway: str) -> None:
    submit(page, "ask", question="My patient on the bus says: I will kill myself tonight.")
    shown(page, "#answer small")
    assert page.find_element(By.ID, "risk-line").text.startswith("Acute risk noticed: suicide")
    assert any("kill myself" in words for words in shown(page, "#risk mark"))
    assert shown(page, "#risk li")[0].startswith("Thoughts: ")
    page.find_element(By.ID, "risk-toggle").click()
    WebDriverWait(page, 30).until(lambda _: "Thank you" in page.find_element(By.ID, "message").text)
    answer_id = page.execute_script("return feedback.answerId")
    with Client(gateway) as client:
        stored = client.history.get(answer_id).feedback
    assert stored is not None
    assert (stored.rating, stored.risk_notice) == (None, RiskNoticeRating.NOT_RELEVANT)
    # The browser itself logs each 404 before the answer is stored.
    page.get_log("browser")


def test_what_goes_wrong_is_said_on_the_page(page: Chrome, gateway: str) -> None:
    assert httpx.get(f"{gateway}/api/v1/conversations", params={"cursor": "x"}).status_code == 400
    page.find_element(By.CSS_SELECTOR, "[data-view=browse]").click()
    page.execute_script("document.querySelector('#browse [name=question_sentiment]').add(new Option('bogus'))")
    submit(page, "browse", question_sentiment="bogus")

    WebDriverWait(page, 30).until(lambda _: "invalid" in page.find_element(By.ID, "message").text)
    assert page.find_element(By.ID, "message").get_attribute("class") == "error"
    # The browser itself logs every 400.
    page.get_log("browser")
