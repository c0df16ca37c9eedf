"""Start-up checks: whether the API's stores can be used."""

from contextlib import AsyncExitStack
from functools import partial

from mh_common.errors import DomainError
from mh_common.startup import Store, StoreError, redis_store, wait_for_stores
from sqlalchemy.exc import DBAPIError

from conversations_api.accounts import in_transaction, prepare_setup
from conversations_api.database import check_database, make_read_engine, ping
from conversations_api.database_errors import DatabaseNotReadyError, is_locked
from conversations_api.models import Base
from conversations_api.settings import AccountsSettings, Settings

_REMEDY = "start its server, or correct DATABASE_URL, DATABASE_USER and DATABASE_PASSWORD"


async def wait_until_usable(settings: Settings) -> None:
    """Wait until the database has this release's tables and Redis answers. Raises `StoreError`.

    A running service tolerates the loss of Redis, but a wrong address would go unnoticed until somebody searches.
    """
    async with AsyncExitStack() as stack:
        engine = make_read_engine(settings.database)
        stack.push_async_callback(engine.dispose)
        database = Store("The database", _REMEDY, partial(check_database, engine, Base.metadata))
        await wait_for_stores([database, redis_store(settings.redis)], settings.startup.timeout)


async def prepare_accounts(settings: Settings) -> None:
    """Where nobody has an account yet, make the first administrator or print how to do so. Raises `StoreError`."""
    if settings.auth.is_open:
        return
    try:
        text = await in_transaction(settings, partial(prepare_setup, settings=settings.auth))
    except DomainError as error:
        raise StoreError(str(error).removesuffix(".")) from error
    if text is not None:
        print(text, flush=True)


async def wait_until_migratable(settings: AccountsSettings) -> None:
    """Wait until the database answers, whatever tables it has. Raises `StoreError`.

    A locked database counts as answering: the migration itself waits for the lock, with the operator's timeout.
    """
    async with AsyncExitStack() as stack:
        engine = make_read_engine(settings.database.model_copy(update={"lock_timeout": 1}))
        stack.push_async_callback(engine.dispose)

        async def check() -> None:
            try:
                await ping(engine)
            except DatabaseNotReadyError as error:
                if not (isinstance(error.__cause__, DBAPIError) and is_locked(error.__cause__)):
                    raise

        await wait_for_stores([Store("The database", _REMEDY, check)], settings.startup.timeout)
