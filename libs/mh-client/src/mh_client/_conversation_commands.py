"""The commands `mh get`, `create`, `edit` and `delete`, for single conversations."""

from typing import Annotated, Any, Unpack, cast

import typer
from mh_common.fields import Sentiment
from mh_common.models import EDITABLE_DETAILS, MAX_BULK_ROWS, Conversation, ConversationMetadata
from mh_common.sentiments import parse_sentiment

from mh_client._cli_client import open_client
from mh_client._cli_common import EXIT_FAILURE, AsJson, Url, print_json, print_text
from mh_client._filter_options import with_details
from mh_client._terminal import print_error
from mh_client.resources._fields import Details
from mh_client.resources.conversations import Changes


def _sentiment(text: str) -> Sentiment:
    try:
        return parse_sentiment(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


_SENTIMENT: Any = {"parser": _sentiment, "metavar": "SENTIMENT"}
_HELP = "positive, negative or neutral."
_DETAILS = ", ".join(EDITABLE_DETAILS)

Id = Annotated[int, typer.Argument(min=1, metavar="ID", help="The conversation's id.")]


def get(ctx: typer.Context, conversation_id: Id, as_json: AsJson = False, url: Url = None) -> None:
    """Print a conversation."""
    with open_client(url or ctx.obj) as client:
        print_conversation(client.conversations.get(conversation_id), as_json=as_json)


@with_details
def create(
    ctx: typer.Context,
    question: Annotated[str, typer.Option(help="What the patient asked.")],
    answer: Annotated[str, typer.Option(help="What the counselor answered.")],
    question_sentiment: Annotated[Sentiment, typer.Option(help=_HELP, **_SENTIMENT)],
    answer_sentiment: Annotated[Sentiment, typer.Option(help=_HELP, **_SENTIMENT)],
    as_json: AsJson = False,
    url: Url = None,
    **details: Unpack[Details],
) -> None:
    """Create a conversation and print it."""
    with open_client(url or ctx.obj) as client:
        created = client.conversations.create(
            question=question,
            answer=answer,
            question_sentiment=question_sentiment,
            answer_sentiment=answer_sentiment,
            **details,
        )
    print_conversation(created, as_json=as_json)


@with_details
def edit(
    ctx: typer.Context,
    conversation_id: Id,
    question: Annotated[str | None, typer.Option(help="New question.")] = None,
    answer: Annotated[str | None, typer.Option(help="New answer.")] = None,
    question_sentiment: Annotated[Sentiment | None, typer.Option(help=_HELP, **_SENTIMENT)] = None,
    answer_sentiment: Annotated[Sentiment | None, typer.Option(help=_HELP, **_SENTIMENT)] = None,
    clear: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help=f"Remove the value of {_DETAILS}; repeatable.")
    ] = None,
    if_version: Annotated[int | None, typer.Option(min=1, help="Change it only if this is still its version.")] = None,
    as_json: AsJson = False,
    url: Url = None,
    **details: Unpack[Details],
) -> None:
    """Change the given fields of a conversation and print it."""
    cleared = [name.replace("-", "_") for name in clear or ()]
    if unknown := set(cleared) - set(EDITABLE_DETAILS):
        raise typer.BadParameter(f"{min(unknown)!r} cannot be removed; these can: {_DETAILS}")
    given = {
        "question": question,
        "answer": answer,
        "question_sentiment": question_sentiment,
        "answer_sentiment": answer_sentiment,
        **details,
    }
    changes = {name: value for name, value in given.items() if value is not None} | dict.fromkeys(cleared)
    with open_client(url or ctx.obj) as client:
        changed = client.conversations.update(conversation_id, if_match=if_version, **cast(Changes, changes))
    print_conversation(changed, as_json=as_json)


def delete(
    ctx: typer.Context,
    ids: Annotated[list[int], typer.Argument(min=1, metavar="ID...", help="The conversations' ids.")],
    url: Url = None,
) -> None:
    """Delete conversations for good. The exit code is 1 if one of them did not exist."""
    wanted = list(dict.fromkeys(ids))
    with open_client(url or ctx.obj) as client:
        pieces = [wanted[start : start + MAX_BULK_ROWS] for start in range(0, len(wanted), MAX_BULK_ROWS)]
        deleted = sum(client.conversations.bulk_delete(piece) for piece in pieces)
    print_text(f"{deleted:,} deleted.")
    if deleted < len(wanted):
        print_error(f"mh: {len(wanted) - deleted:,} of {len(wanted):,} did not exist")
        raise typer.Exit(EXIT_FAILURE)


def print_conversation(found: Conversation, *, as_json: bool) -> None:
    """Print a conversation, as text or as JSON."""
    if as_json:
        print_json(found)
        return
    print_text(f"conversation {found.id}, version {found.version}, {found.index_status} in the search index")
    print_text(f"Q ({found.question_sentiment}): {found.question}")
    print_text(f"A ({found.answer_sentiment}): {found.answer}")
    for name in ConversationMetadata.model_fields:
        if (value := getattr(found, name)) is not None:
            print_text(f"{name}: {value}")
