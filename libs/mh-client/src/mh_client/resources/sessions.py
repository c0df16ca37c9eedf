"""Sessions: where the caller is signed in."""

from typing import Final

from mh_common.models import SessionCreate, SessionCreated, SessionList

from mh_client._base import Call, Retry, validated
from mh_client.resources._binding import AsyncResource, Resource, async_method, sync_method

PATH: Final = "/api/v1/sessions"


def create(username: str, password: str) -> Call[SessionCreated]:
    """Sign in; the result's `token` is the `api_key` of a client that acts for this user.

    Raises AuthenticationError if user name or password are wrong, RateLimitError after too many attempts, and
    ConflictError if the platform has no accounts.
    """
    sent = validated(SessionCreate, {"username": username, "password": password})
    return Call(
        method="POST",
        path=PATH,
        content=sent.model_dump_json(exclude_defaults=True).encode(),
        parse=SessionCreated.model_validate_json,
        retry=Retry.IF_NOT_PROCESSED,
        needs_key=False,
    )


def list_all() -> Call[SessionList]:
    """Return the caller's sessions, newest first."""
    return Call(method="GET", path=PATH, parse=SessionList.model_validate_json)


def end(session_id: int) -> Call[None]:
    """Sign out elsewhere: end one of the caller's sessions. Raises NotFoundError, also if a retry finds it ended."""
    return Call(method="DELETE", path=f"{PATH}/{session_id:d}", parse=lambda body: None)


def end_current() -> Call[None]:
    """Sign out: end the session whose token is sent. Raises AuthenticationError, also if a retry finds it ended."""
    return Call(method="DELETE", path=f"{PATH}/current", parse=lambda body: None)


class Sessions(Resource):
    """`client.sessions`."""

    create = sync_method(create)
    list = sync_method(list_all)
    end = sync_method(end)
    end_current = sync_method(end_current)


class AsyncSessions(AsyncResource):
    """`client.sessions` of `AsyncClient`."""

    create = async_method(create)
    list = async_method(list_all)
    end = async_method(end)
    end_current = async_method(end_current)
