"""The command `mh ask`."""

from typing import Annotated
from uuid import UUID

import typer

from mh_client._answer_output import print_answer
from mh_client._cli_client import open_client
from mh_client._cli_common import AsJson, MaybeUser, Url, print_json
from mh_client._threads import Thread


def ask(
    ctx: typer.Context,
    question: str,
    top_k: Annotated[int, typer.Option(help="Conversations to ground the answer in, 1 to 20.")] = 3,
    thread: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Follow up on the questions asked with the same name; the first one begins it."
        ),
    ] = None,
    user: MaybeUser = None,
    show_sent: Annotated[
        bool, typer.Option("--show-sent", help="Show what was sent to which server for the answer.")
    ] = False,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Ask how to help a patient. The answer cites its sources and is printed as it is generated.

    If risk was noticed in the question or in those before it, the notice is printed first.
    """
    followed = Thread(thread) if thread is not None else None
    answer_id: UUID | None
    with open_client(url or ctx.obj) as client:
        turns = followed.turns(client, user) if followed else []
        if as_json:
            answer = client.answer(question, top_k, turns, user, show_sent)
            answer_id = answer.answer_id
            print_json(answer)
        else:
            answer_id = print_answer(client.answer_stream(question, top_k, turns, user, show_sent), show_sent=show_sent)
    if followed and answer_id is not None:
        followed.add(answer_id)
