"""The installed Chromium, headless and driven by Selenium."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service

from mh_devtools import servers

MISSING = "Chromium with its driver is missing (Debian: apt-get install chromium-driver)"


def find_browser() -> tuple[str, str] | None:
    """Return the binaries of Chromium and its driver, if installed."""
    browser = shutil.which("chromium", path=servers.SEARCH_PATH)
    driver = shutil.which("chromedriver", path=servers.SEARCH_PATH)
    return (browser, driver) if browser and driver else None


@contextmanager
def chromium() -> Iterator[Chrome]:
    """Run a browser that connects only to the page's server. Raises ServerError if none is installed."""
    found = find_browser()
    if found is None:
        raise servers.ServerError(MISSING)
    options = ChromeOptions()
    options.binary_location, driver = found
    for argument in ("headless", "no-sandbox", "disable-gpu", "no-first-run", "disable-background-networking"):
        options.add_argument(f"--{argument}")
    for argument in ("disable-component-update", "disable-sync", "disable-quic", "disable-dev-shm-usage"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Chrome(options=options, service=Service(driver))
    try:
        yield chrome
    finally:
        chrome.quit()
