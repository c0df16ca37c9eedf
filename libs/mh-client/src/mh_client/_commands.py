"""The commands of `mh`. Errors are printed as one line that says what to do."""

import sys
from collections.abc import Mapping, Sequence
from functools import cache
from io import TextIOWrapper
from typing import Annotated, Any, NoReturn

import typer
from mh_common.formats import FileRefusedError
from mh_common.models import ConversationStats

from mh_client._ask_command import ask
from mh_client._base import VERSION
from mh_client._cli_client import explain_refusal, open_client
from mh_client._cli_common import (
    EXIT_FAILURE,
    EXIT_UNAVAILABLE,
    EXIT_USAGE,
    AsJson,
    Url,
    print_json,
    print_text,
)
from mh_client._conversation_commands import create, delete, edit, get
from mh_client._errors import (
    APIConnectionError,
    APIStatusError,
    AuthenticationError,
    EvaluationRefusedError,
    ImportRefusedError,
    InvalidInputError,
    MHError,
    PermissionDeniedError,
    RateLimitError,
    ServerError,
)
from mh_client._eval_answers_command import evaluate_answers
from mh_client._eval_command import evaluate
from mh_client._experiment_commands import app as experiments_app
from mh_client._export_command import export
from mh_client._feedback_command import feedback
from mh_client._history_commands import app as history_app
from mh_client._identifier_commands import app as identifiers_app
from mh_client._import_command import import_
from mh_client._index_commands import app as index_app
from mh_client._key_commands import app as keys_app
from mh_client._mcp_command import serve
from mh_client._numbers import read_numbers_strictly
from mh_client._review_commands import app as versions_app
from mh_client._review_commands import review
from mh_client._search_commands import search, similar
from mh_client._sign_in_commands import login, logout, password, roles, setup, whoami
from mh_client._team_commands import app as teams_app
from mh_client._terminal import print_error, print_notice
from mh_client._user_commands import app as users_app

app = typer.Typer(
    help="Import, export and search mental health conversations, and ask questions about them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(index_app, name="index")
app.add_typer(history_app, name="history")
app.add_typer(experiments_app, name="experiments")
app.add_typer(identifiers_app, name="identifiers")
app.add_typer(keys_app, name="keys")
app.add_typer(users_app, name="users")
app.add_typer(versions_app, name="versions")
app.add_typer(teams_app, name="teams")
app.command("import")(import_)
app.command("export")(export)
app.command("ask")(ask)
app.command("feedback")(feedback)
app.command("get")(get)
app.command("create")(create)
app.command("edit")(edit)
app.command("delete")(delete)
app.command("review")(review)
app.command("eval")(evaluate)
app.command("eval-answers")(evaluate_answers)
app.command("search")(search)
app.command("similar")(similar)
app.command("mcp")(serve)
app.command("login")(login)
app.command("logout")(logout)
app.command("whoami")(whoami)
app.command("password")(password)
app.command("roles")(roles)
app.command("setup")(setup)


def run(args: Sequence[str] | None = None) -> NoReturn:
    """Run `mh` with these arguments and exit."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        _command()(args=args, prog_name="mh")
    except (AuthenticationError, PermissionDeniedError) as error:
        _fail(EXIT_FAILURE, explain_refusal(error))
    except APIStatusError as error:
        if error.noticed:
            print_notice(error.noticed.as_text(), stderr=True)
        if isinstance(error, RateLimitError):
            _fail(EXIT_UNAVAILABLE, f"that was too often; try again later. The platform returned: {error}")
        if isinstance(error, ServerError):
            _fail(EXIT_UNAVAILABLE, f"the platform is unavailable; try again later. It returned: {error}")
        _fail(EXIT_FAILURE, str(error))
    except (ImportRefusedError, EvaluationRefusedError, InvalidInputError, FileRefusedError) as error:
        _fail(EXIT_USAGE, str(error))
    except APIConnectionError as error:
        _fail(EXIT_UNAVAILABLE, f"{error}. Is the platform running there? Set another URL with --url or MH_URL.")
    except MHError as error:
        _fail(EXIT_FAILURE, str(error))
    sys.exit(0)


@cache
def _command() -> Any:
    """Return the command with all its options, which Typer takes a while to read from the functions."""
    return typer.main.get_command(app)


def _fail(code: int, message: str) -> NoReturn:
    print_error(f"mh: {message}")
    sys.exit(code)


def _print_version(asked: bool) -> None:
    if asked:
        print_text(f"mh {VERSION}")
        raise typer.Exit


@app.callback()
def _main(
    ctx: typer.Context,
    url: Url = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    ctx.obj = url


@app.command("stats")
def _stats(ctx: typer.Context, as_json: AsJson = False, url: Url = None) -> None:
    """Show the number of conversations by sentiment, month, index status, risk level, unsafe advice and review."""
    with open_client(url or ctx.obj) as client:
        result = client.conversations.stats()
    if as_json:
        print_json(result)
        return
    for title, counts in _tables(result).items():
        print_text(title)
        for name, count in counts.items():
            print_text(f"  {name:<24}{count:>12,}")


def _tables(stats: ConversationStats) -> dict[str, dict[str, int]]:
    pairs = {f"{pair.question_sentiment} / {pair.answer_sentiment}": pair.count for pair in stats.pairs}
    return {
        "Conversations": {"total": stats.total},
        "Question sentiment": {str(name): count for name, count in stats.question_sentiment.items()},
        "Answer sentiment": {str(name): count for name, count in stats.answer_sentiment.items()},
        "Question / answer": pairs,
        "Created in": {month.month: month.count for month in stats.per_month},
        "Search index": {str(name): count for name, count in stats.index_status.items()},
        "Risk level": _screened(stats.risk_level, stats.total),
        "Unsafe advice": _screened(stats.unsafe_advice, stats.total),
        "Review": {str(name): count for name, count in stats.review_state.items()},
    }


def _screened(counts: Mapping[Any, int], total: int) -> dict[str, int]:
    return {
        **{str(name): count for name, count in counts.items()},
        "not screened": max(total - sum(counts.values()), 0),
    }


read_numbers_strictly(app)
