"""Teams: who sees and changes them, and what strangers are told."""

from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
import redis
from conversations_api.settings import Settings
from mh_common.auth.roles import Role
from mh_devtools.testing.access import PASSWORD
from mh_devtools.testing.fixtures import RunApp
from mh_devtools.testing.oidc import OidcPlatform, begin, with_accounts

TEAMS: Final = "/api/v1/teams"


class Practice:
    """A platform with an administrator, Ann and Bob."""

    def __init__(self, platform: OidcPlatform) -> None:
        self._platform = platform
        self.headers = {"root": platform.admin}
        self.ids: dict[str, int] = {}

    async def add(self, username: str) -> None:
        self.ids[username] = await self._platform.add(username, password=PASSWORD, role=Role.COUNSELOR)
        new = {"username": username, "password": PASSWORD}
        token = (await self._platform.api.post("/api/v1/sessions", json=new)).json()["token"]
        self.headers[username] = {"Authorization": f"Bearer {token}"}

    async def call(self, who: str, method: str, path: str, json: Any = None) -> httpx.Response:
        return await self._platform.api.request(method, path, json=json, headers=self.headers[who])

    async def team(self, name: str) -> int:
        response = await self.call("root", "POST", TEAMS, {"name": name})
        assert response.status_code == 201, response.text
        assert response.headers["Location"] == f"{TEAMS}/{response.json()['id']}"
        return int(response.json()["id"])

    async def put(self, who: str, team: int, member: str, lead: bool = False) -> httpx.Response:
        return await self.call(who, "PUT", f"{TEAMS}/{team}/members/{self.ids[member]}", {"lead": lead})

    async def own(self, who: str) -> list[tuple[str, bool]]:
        me = (await self.call(who, "GET", "/api/v1/me")).json()
        return [(team["name"], team["lead"]) for team in me["teams"]]


@pytest.fixture
async def practice(settings: Settings, run_app: RunApp) -> AsyncIterator[Practice]:
    redis.Redis.from_url(settings.redis.url).flushdb()
    secured = with_accounts(settings)
    async with run_app(secured) as api:
        practice = Practice(await begin(api, secured))
        for username in ("ann", "bob"):
            await practice.add(username)
        yield practice


async def test_teams_are_added_renamed_listed_and_deleted(practice: Practice) -> None:
    first, second = await practice.team("Crisis line"), await practice.team("crisis line")
    assert (await practice.call("root", "POST", TEAMS, {"name": "Crisis line"})).status_code == 409
    renamed = await practice.call("root", "PATCH", f"{TEAMS}/{second}", {"name": "Day clinic"})
    assert (renamed.json()["name"], renamed.json()["version"]) == ("Day clinic", 2)
    assert (await practice.call("root", "PATCH", f"{TEAMS}/{second}", {"name": "Crisis line"})).status_code == 409
    assert (await practice.call("root", "GET", f"{TEAMS}/{second}")).json() == renamed.json()
    page = (await practice.call("root", "GET", f"{TEAMS}?limit=1")).json()
    assert [team["id"] for team in page["items"]] == [first]
    page = (await practice.call("root", "GET", f"{TEAMS}?limit=1&cursor={page['next_cursor']}")).json()
    assert ([team["id"] for team in page["items"]], page["next_cursor"]) == ([second], None)
    await practice.put("root", first, "ann")
    assert (await practice.call("root", "DELETE", f"{TEAMS}/{first}")).status_code == 204
    assert await practice.own("ann") == []
    for method in ("GET", "DELETE"):
        assert (await practice.call("root", method, f"{TEAMS}/{first}")).status_code == 404
    assert (await practice.call("root", "PATCH", f"{TEAMS}/{first}", {"name": "x"})).status_code == 404


async def test_a_lead_changes_its_own_team_and_members_see_it(practice: Practice) -> None:
    team, other = await practice.team("Crisis line"), await practice.team("Day clinic")
    assert (await practice.put("root", team, "ann", lead=True)).json()["lead"] is True
    assert await practice.own("ann") == [("Crisis line", True)]
    assert (await practice.put("ann", team, "bob")).json() == {
        "user_id": practice.ids["bob"],
        "username": "bob",
        "display_name": None,
        "lead": False,
    }
    assert await practice.own("bob") == [("Crisis line", False)]
    page = (await practice.call("bob", "GET", f"{TEAMS}/{team}/members?limit=1")).json()
    rest = (await practice.call("bob", "GET", f"{TEAMS}/{team}/members?cursor={page['next_cursor']}")).json()
    assert [one["username"] for one in page["items"] + rest["items"]] == ["ann", "bob"]
    # A member changes nothing, not even for itself.
    assert (await practice.put("bob", team, "bob", lead=True)).status_code == 403
    path = f"{TEAMS}/{team}/members/{practice.ids['ann']}"
    assert (await practice.call("bob", "DELETE", path)).status_code == 403
    # A lead has no say elsewhere.
    assert (await practice.put("ann", other, "ann")).status_code == 404
    await practice.put("root", other, "bob")
    assert (await practice.put("ann", team, "bob", lead=True)).status_code == 200
    assert await practice.own("bob") == [("Crisis line", True), ("Day clinic", False)]
    assert (await practice.call("bob", "DELETE", path)).status_code == 204
    assert (await practice.call("bob", "DELETE", path)).status_code == 404
    assert (await practice.call("ann", "GET", f"{TEAMS}/{team}/members")).status_code == 404


async def test_strangers_are_told_that_a_team_does_not_exist(practice: Practice) -> None:
    team = await practice.team("Crisis line")
    await practice.put("root", team, "ann", lead=True)
    own: list[tuple[str, Any]] = [("GET", None), ("DELETE", None), ("PATCH", {"name": "Mine"})]
    for number in (team, 99):
        members = f"{TEAMS}/{number}/members"
        for method, path, body in (
            ("GET", members, None),
            ("PUT", f"{members}/{practice.ids['bob']}", {"lead": True}),
            ("DELETE", f"{members}/{practice.ids['ann']}", None),
        ):
            response = await practice.call("bob", method, path, body)
            assert (response.status_code, response.json()["detail"]) == (404, f"There is no team {number}.")
        for method, change in own:
            assert (await practice.call("bob", method, f"{TEAMS}/{number}", change)).status_code == 403
    assert (await practice.call("ann", "PUT", f"{TEAMS}/{team}/members/99", {"lead": False})).status_code == 404


async def test_a_leads_key_changes_no_team(practice: Practice) -> None:
    team = await practice.team("Crisis line")
    await practice.put("root", team, "ann", lead=True)
    new = {"name": "program", "scopes": ["conversations:read"]}
    token = (await practice.call("ann", "POST", "/api/v1/api-keys", new)).json()["token"]
    practice.headers["program"] = {"Authorization": f"Bearer {token}"}
    refused = await practice.put("program", team, "bob")
    assert (refused.status_code, refused.json()["missing_scopes"]) == (403, ["users:manage"])
    assert (await practice.call("program", "GET", f"{TEAMS}/{team}/members")).status_code == 200
