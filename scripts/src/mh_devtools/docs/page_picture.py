"""Takes the README's screenshot of the counselor's page: `python -m mh_devtools.docs.page_picture [URL]`.

URL is a platform with the sample conversations and without a language model, as `make run` starts it. The question is
asked in a headless browser with the light colour scheme, and the top of the page is saved as docs/figures/page.png.
"""

import sys
from typing import Final

from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from mh_devtools.paths import ROOT
from mh_devtools.servers.browser import chromium

FILE: Final = ROOT / "docs" / "figures" / "page.png"
QUESTION: Final = "My patient lies awake at night because of worries about work. How can I help?"
SOURCES: Final = "2"
WIDTH: Final = 900
TIMEOUT_S: Final = 60


def take_screenshot(browser: Chrome, url: str) -> bytes:
    """Ask the question on the page at `url` and return a screenshot (PNG) down to the end of the first source."""
    scheme = {"features": [{"name": "prefers-color-scheme", "value": "light"}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", scheme)
    _resize(browser, 1200)
    browser.get(url)
    sources = browser.find_element(By.NAME, "top_k")
    sources.clear()
    sources.send_keys(SOURCES)
    browser.find_element(By.ID, "question").send_keys(QUESTION)
    browser.find_element(By.CSS_SELECTOR, "#ask > button:not(#stop)").click()
    stop = browser.find_element(By.ID, "stop")
    shown = "#conversations li"
    WebDriverWait(browser, TIMEOUT_S).until(
        lambda page: page.find_elements(By.CSS_SELECTOR, shown) and not stop.is_displayed()
    )
    first = browser.find_element(By.CSS_SELECTOR, shown).rect
    _resize(browser, int(first["y"] + first["height"]) + 16)
    return browser.get_screenshot_as_png()


def _resize(browser: Chrome, height: int) -> None:
    size = {"width": WIDTH, "height": height, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setScrollbarsHidden", {"hidden": True})


def main() -> None:
    """Write the screenshot."""
    url = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080"
    with chromium() as browser:
        FILE.write_bytes(take_screenshot(browser, url))


if __name__ == "__main__":
    main()
