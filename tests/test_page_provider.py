"""Signing in on the counselor's page with a real OpenID provider, in a real browser, behind the real gateway."""

import asyncio
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import redis
from conversations_api.accounts import in_transaction, prepare_setup
from conversations_api.main import create_app
from conversations_api.settings import DatabaseSettings, PublicUrlSettings, Settings
from mh_client import Client
from mh_common.settings import RedisSettings
from mh_devtools import servers
from mh_devtools.servers import browser as browser_of_this_machine
from mh_devtools.servers import nginx
from mh_devtools.stack.server_stack import migrate
from mh_devtools.stubs.server import serving
from mh_devtools.testing.access import PASSWORD
from mh_devtools.testing.oidc import CLERK, with_accounts, with_provider
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

MISSING = f"{nginx.MISSING}; or {browser_of_this_machine.MISSING}"
HERE = nginx.find_nginx() and browser_of_this_machine.find_browser()

pytestmark = [
    pytest.mark.slow,
    pytest.mark.e2e,
    pytest.mark.skipif(not HERE and os.environ.get("CI") != "true", reason=MISSING),
]


class Practice(NamedTuple):
    """The gateway's URL, and an administrator's client."""

    url: str
    admin: Client


@pytest.fixture
def provider(tmp_path: Path) -> Iterator[str]:
    """URL of a provider that knows Ann."""
    port = servers.free_port()
    options = ("--port", str(port), "--require-nonce", "true", "--user-claims", json.dumps({"sub": CLERK}))
    command = [sys.executable, "-W", "ignore", "-m", "oidc_provider_mock", *options]
    running = servers.start("provider", command, tmp_path / "provider.log")
    servers.wait_until(running, lambda: servers.listens(port))
    yield f"http://127.0.0.1:{port}"
    running.stop()


@pytest.fixture
def practice(provider: str, redis_url: str, tmp_path: Path) -> Iterator[Practice]:
    """A platform that signs in with the provider. rag-api is away, which is nothing to somebody who signs in."""
    port = servers.free_port()
    url = f"http://127.0.0.1:{port}"
    database = f"sqlite+aiosqlite:///{tmp_path}/page.db"
    migrate({**os.environ, "DATABASE_URL": database})
    redis.Redis.from_url(redis_url).flushdb()
    plain = Settings(database=DatabaseSettings(url=database), redis=RedisSettings(url=redis_url))
    settings = with_provider(with_accounts(plain), provider).model_copy(
        update={"doors": PublicUrlSettings(public_url=url)}
    )
    with serving(create_app(settings), lifespan=True) as api:
        text = asyncio.run(in_transaction(settings, lambda session: prepare_setup(session, settings.auth)))
        assert text is not None
        with Client(api, api_key="") as stranger:
            stranger.set_up(text.split()[-1], "root", PASSWORD)
            token = stranger.sessions.create("root", PASSWORD).token
        upstreams = {
            "CONVERSATIONS_UPSTREAM": f"server {api.removeprefix('http://')};",
            "RAG_UPSTREAM": "server 127.0.0.1:9;",
        }
        rates = {"GATEWAY_RATE": "1000r/s", "GATEWAY_ANSWERS_RATE": "1000r/s"}
        bursts = {"GATEWAY_BURST": "1000", "GATEWAY_ANSWERS_BURST": "1000"}
        gateway = nginx.start_nginx(tmp_path / "nginx", port, upstreams | rates | bursts)
        try:
            with Client(url, api_key=token) as admin:
                yield Practice(url, admin)
        finally:
            gateway.stop()


def wait_for(chrome: Chrome, css: str) -> str:
    """Return the text of an element once it is shown and has one."""
    WebDriverWait(chrome, 30).until(lambda _: any(one.text for one in chrome.find_elements(By.CSS_SELECTOR, css)))
    return chrome.find_element(By.CSS_SELECTOR, css).text


def test_people_sign_in_with_their_provider(practice: Practice) -> None:
    with browser_of_this_machine.chromium() as chrome:
        chrome.get(f"{practice.url}/#search")
        assert wait_for(chrome, "#provider") == "Sign in with Example Practice"
        for known in (False, True):
            if known:
                ann = practice.admin.users.create("ann", "counselor", display_name="Ann Example")
                practice.admin.identities.create(ann.id, CLERK)
            wait_for(chrome, "#provider")
            chrome.find_element(By.ID, "provider").click()
            chrome.find_element(By.NAME, "sub").send_keys(CLERK, Keys.ENTER)
            if not known:
                assert CLERK in wait_for(chrome, "p")
                chrome.find_element(By.LINK_TEXT, "Back to the platform").click()
        assert wait_for(chrome, "#account span") == "Signed in as Ann Example (counselor)."
        [cookie] = [one for one in chrome.get_cookies() if one["name"].endswith("mh_session")]
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
        chrome.find_element(By.CSS_SELECTOR, "#account button").click()
        assert wait_for(chrome, "#provider")
        assert httpx.get(f"{practice.url}/api/v1/me", cookies={cookie["name"]: cookie["value"]}).status_code == 401
