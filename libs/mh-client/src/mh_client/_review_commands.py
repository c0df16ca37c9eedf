"""The commands `mh review` and `mh versions`."""

from typing import Annotated

import typer
from mh_common.fields import ReviewState
from mh_common.models import EDITABLE_DETAILS, MAX_BULK_ROWS, ConversationVersion

from mh_client._cli_client import open_client
from mh_client._cli_common import EXIT_FAILURE, AsJson, Url, print_json, print_text
from mh_client._conversation_commands import Id, print_conversation
from mh_client._terminal import print_error, truncate

MAX_DISPLAY_LENGTH = 300

app = typer.Typer(help="See and restore what conversations were.", no_args_is_help=True, rich_markup_mode=None)

Number = Annotated[int, typer.Argument(min=1, metavar="VERSION", help="The version's number.")]
IfVersion = Annotated[int | None, typer.Option(min=1, help="Do it only if this is still the conversation's version.")]


def review(
    ctx: typer.Context,
    state: Annotated[ReviewState, typer.Argument(metavar="STATE", help="approved, rejected or unreviewed.")],
    ids: Annotated[list[int], typer.Argument(min=1, metavar="ID...", help="The conversations' ids.")],
    if_version: IfVersion = None,
    url: Url = None,
) -> None:
    """Approve or reject conversations, or take that back. The exit code is 1 if one of them does not exist."""
    wanted = list(dict.fromkeys(ids))
    if if_version is not None and len(wanted) > 1:
        raise typer.BadParameter("--if-version is for a single conversation")
    with open_client(url or ctx.obj) as client:
        if if_version is not None:
            client.conversations.review(wanted[0], state, if_match=if_version)
            print_text(f"conversation {wanted[0]}: {state}")
            return
        pieces = [wanted[start : start + MAX_BULK_ROWS] for start in range(0, len(wanted), MAX_BULK_ROWS)]
        done = [client.conversations.bulk_review(piece, state) for piece in pieces]
    found = sum(one.found for one in done)
    print_text(f"{found:,} {state}; {sum(one.changed for one in done):,} of them had another state before.")
    if found < len(wanted):
        print_error(f"mh: {len(wanted) - found:,} of {len(wanted):,} do not exist")
        raise typer.Exit(EXIT_FAILURE)


@app.command("list")
def _list(
    ctx: typer.Context,
    conversation_id: Id,
    limit: Annotated[int, typer.Option(help="Maximum number of versions, 1 to 100.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Cursor printed by the previous call.")] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List a conversation's versions, newest first, beginning with the current one."""
    with open_client(url or ctx.obj) as client:
        page = client.conversations.versions(conversation_id, cursor=cursor, limit=limit)
    if as_json:
        print_json(page)
        return
    for one in page.items:
        _print_head(one)
        print_text(f"  Q: {truncate(one.question, MAX_DISPLAY_LENGTH)}")
        print_text(f"  A: {truncate(one.answer, MAX_DISPLAY_LENGTH)}")
    if page.next_cursor:
        print_text(f"There are more: --cursor {page.next_cursor}")


@app.command("get")
def _get(ctx: typer.Context, conversation_id: Id, number: Number, as_json: AsJson = False, url: Url = None) -> None:
    """Print what a conversation was in one of its versions."""
    with open_client(url or ctx.obj) as client:
        found = client.conversations.version(conversation_id, number)
    if as_json:
        print_json(found)
        return
    _print_head(found)
    print_text(f"Q ({found.question_sentiment}): {found.question}")
    print_text(f"A ({found.answer_sentiment}): {found.answer}")
    for name in EDITABLE_DETAILS:
        if (value := getattr(found, name)) is not None:
            print_text(f"{name}: {value}")


@app.command("restore")
def _restore(
    ctx: typer.Context,
    conversation_id: Id,
    number: Number,
    if_version: IfVersion = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Give a conversation the content of one of its versions, as a new version, and print it."""
    with open_client(url or ctx.obj) as client:
        restored = client.conversations.restore(conversation_id, number, if_match=if_version)
    print_conversation(restored, as_json=as_json)


def _print_head(one: ConversationVersion) -> None:
    by = "" if one.changed_by is None else f" by account {one.changed_by}"
    print_text(f"version {one.version}, {one.changed_at:%Y-%m-%d %H:%M}{by}")
