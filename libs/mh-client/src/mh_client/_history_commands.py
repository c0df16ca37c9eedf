"""The commands of `mh history`: list, show and delete a user's questions and answers."""

from typing import Annotated, Final
from uuid import UUID

import typer
from mh_common.models import HistoryEntry
from mh_common.wording import counted

from mh_client._base import resolve_base_url
from mh_client._cli_client import credential_for, open_client
from mh_client._cli_common import EXIT_USAGE, AsJson, MaybeUser, Url, print_json, print_text
from mh_client._feedback_command import described
from mh_client._terminal import print_error, truncate

MAX_DISPLAY_LENGTH: Final = 100

app = typer.Typer(help="Show or delete past questions and answers.", no_args_is_help=True, rich_markup_mode=None)

AnswerId = Annotated[UUID, typer.Argument(help="The answer's id.")]


@app.command("list")
def _list(
    ctx: typer.Context,
    user: MaybeUser = None,
    limit: Annotated[int, typer.Option(help="Maximum number of entries, 1 to 100.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Cursor printed by the previous call.")] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List your questions, newest first, or those of a user where there are no accounts."""
    if not _is_known(user, url or ctx.obj):
        raise typer.BadParameter("name the user: --user (or MH_USER), or sign in with `mh login`")
    with open_client(url or ctx.obj) as client:
        page = client.history.list(user, cursor, limit)
    if as_json:
        print_json(page)
        return
    for entry in page.items:
        rating = f"  [{described(entry.feedback)}]" if entry.feedback else ""
        print_text(f"{entry.answer_id}  {entry.created_at:%Y-%m-%d %H:%M}{rating}")
        print_text(f"  {truncate(entry.question, MAX_DISPLAY_LENGTH)}")
    if page.next_cursor:
        print_text(f"There are more: --cursor {page.next_cursor}")
    elif not page.items:
        print_text("The history is empty.")


@app.command("show")
def _show(
    ctx: typer.Context, answer_id: AnswerId, user: MaybeUser = None, as_json: AsJson = False, url: Url = None
) -> None:
    """Show a question with its answer, sources and feedback."""
    with open_client(url or ctx.obj) as client:
        entry = client.history.get(answer_id, user)
    if as_json:
        print_json(entry)
        return
    for line in _lines(entry):
        print_text(line)


def _is_known(user: str | None, url: str | None) -> bool:
    """Return whether the platform will know whose history is meant: of the named user, or of who is signed in."""
    return user is not None or bool(credential_for(resolve_base_url(url)))


def _lines(entry: HistoryEntry) -> list[str]:
    searched = [f"Searched for: {entry.standalone_query}"] if entry.standalone_query else []
    filters = [f"Filters: {entry.filters}"] if entry.filters else []
    given = entry.feedback
    rating = [" ".join(filter(None, ["Feedback:", described(given), given.comment]))] if given else []
    hits = [
        f"[{number}] conversation {hit.id}, version {hit.version}, score {hit.score:.3f}"
        for number, hit in enumerate(entry.hits, start=1)
    ]
    written = f"{entry.model}, {entry.latency_ms:,.0f} ms, {counted(entry.usage.total_tokens, 'token')}"
    asked = [f"{entry.created_at:%Y-%m-%d %H:%M} UTC", f"Q: {entry.question}"]
    return [*asked, *searched, *filters, f"A: {entry.answer}", f"({written})", *hits, *rating]


@app.command("delete")
def _delete(
    ctx: typer.Context,
    answer_id: Annotated[UUID | None, typer.Argument(help="The answer's id.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Delete all of your entries, or of the user's.")] = False,
    user: MaybeUser = None,
    url: Url = None,
) -> None:
    """Permanently delete one entry, or all entries of a user."""
    with open_client(url or ctx.obj) as client:
        if answer_id is not None and not everything:
            client.history.delete(answer_id, user)
            print_text("Deleted.")
        elif everything and answer_id is None and _is_known(user, url or ctx.obj):
            print_text(f"{client.history.clear(user):,} deleted.")
        else:
            print_error("mh: give an answer id, or --all with --user (or MH_USER) unless you are signed in")
            raise typer.Exit(EXIT_USAGE)
