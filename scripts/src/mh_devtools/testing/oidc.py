"""What the tests of signing in with an OpenID provider share: a platform, its administrator, and a browser."""

from http.cookiejar import CookiePolicy, DefaultCookiePolicy
from typing import Any, Final

import httpx
from conversations_api.accounts import in_transaction, prepare_setup
from conversations_api.settings import FirstAdministratorSettings, OidcSettings, PublicUrlSettings, Settings
from mh_common.access_settings import ServiceKeySettings
from mh_common.auth.roles import Role
from mh_common.auth.tokens import TokenKind, make_token
from pydantic import SecretStr

from mh_devtools.stubs.oidc_stub import CLIENT_ID, CLIENT_SECRET, StubOidc
from mh_devtools.testing.access import PASSWORD

API: Final = "/api/v1"
BASE: Final = "http://localhost"
CLERK: Final = "user_2abcDEFghiJKLmnoPQRstuVWXyz"
"""A subject as Clerk makes them."""
BROWSER: Final = {"Accept": "text/html"}

NO_COOKIES: Final[CookiePolicy] = DefaultCookiePolicy(allowed_domains=[])
"""A client that keeps no cookies: a test says itself which browser has which."""


def with_accounts(settings: Settings) -> Settings:
    """Return settings of a platform with accounts, at BASE."""
    update = {
        "auth": FirstAdministratorSettings(mode="required"),
        "mh": ServiceKeySettings(service_key=SecretStr(make_token(TokenKind.SERVICE_KEY))),
        "doors": PublicUrlSettings(public_url=BASE),
    }
    return settings.model_copy(update=update)


def with_provider(settings: Settings, issuer: str, **more: Any) -> Settings:
    """Return settings of a platform with a provider."""
    secret = SecretStr(CLIENT_SECRET)
    oidc = OidcSettings(issuer=issuer, client_id=CLIENT_ID, client_secret=secret, name="Example Practice", **more)
    return settings.model_copy(update={"oidc": oidc})


class OidcPlatform:
    """A running platform, its first administrator, and a browser."""

    def __init__(self, api: httpx.AsyncClient, admin: dict[str, str]) -> None:
        self.api = api
        self.admin = admin

    async def add(self, username: str, **more: Any) -> int:
        """Add an account; return its id."""
        new = {"username": username, "role": Role.COUNSELOR} | more
        response = await self.api.post(f"{API}/users", json=new, headers=self.admin)
        assert response.status_code == 201, response.text
        return int(response.json()["id"])

    async def link(self, user_id: int, subject: str, **more: Any) -> httpx.Response:
        """Link an account with a subject of the provider."""
        identity = {"subject": subject, **more}
        return await self.api.post(f"{API}/users/{user_id}/identities", json=identity, headers=self.admin)

    async def start(self, **parameters: str) -> httpx.Response:
        """Let the browser begin to sign in."""
        return await self.api.get(f"{BASE}{API}/oidc/start", params=parameters, headers=BROWSER)

    async def come_back(self, started: httpx.Response, answer: dict[str, str]) -> httpx.Response:
        """Let the browser come back from the provider with its cookie."""
        cookie = {"Cookie": cookie_of(started)} if "Set-Cookie" in started.headers else {}
        return await self.api.get(f"{BASE}{API}/oidc/callback", params=answer, headers={**BROWSER, **cookie})

    async def sign_in(self, stub: StubOidc, subject: str) -> httpx.Response:
        """Let the browser sign a person in at the provider, and come back."""
        started = await self.start()
        return await self.come_back(started, stub.visit(started.headers["Location"], subject))

    async def who(self, response: httpx.Response) -> dict[str, Any]:
        """Return whom a response signed in."""
        assert response.status_code == 303, response.text
        session = {"Cookie": next(one for one in cookies_of(response) if one.startswith("mh_session="))}
        me = await self.api.get(f"{BASE}{API}/me", headers=session)
        assert me.status_code == 200, me.text
        found: dict[str, Any] = me.json()
        return found


def cookies_of(response: httpx.Response) -> list[str]:
    """Return the cookies that a response sets, each as a browser sends it."""
    return [one.split(";")[0] for one in response.headers.get_list("Set-Cookie")]


def cookie_of(response: httpx.Response) -> str:
    """Return the only cookie that a response sets."""
    [cookie] = cookies_of(response)
    return cookie


async def begin(api: httpx.AsyncClient, settings: Settings) -> OidcPlatform:
    """Set a platform up that runs without accounts until now."""
    text = await in_transaction(settings, lambda session: prepare_setup(session, settings.auth))
    assert text is not None
    first = {"token": text.split()[-1], "username": "root", "password": PASSWORD}
    assert (await api.post(f"{API}/setup", json=first)).status_code == 201
    signed_in = await api.post(f"{API}/sessions", json={"username": "root", "password": PASSWORD})
    api.cookies.jar.set_policy(NO_COOKIES)
    return OidcPlatform(api, {"Authorization": f"Bearer {signed_in.json()['token']}"})


def refused(response: httpx.Response, *words: str) -> bool:
    """Whether a browser is told why it is not signed in, and is not."""
    assert response.headers["Content-Type"].startswith("text/html"), response.text
    assert all(word in response.text for word in words), response.text
    assert not any("mh_session" in one for one in cookies_of(response))
    return response.status_code == 401
