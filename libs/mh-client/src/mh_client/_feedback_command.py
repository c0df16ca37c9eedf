"""The command `mh feedback`."""

from typing import Annotated
from uuid import UUID

import typer
from mh_common.models import Feedback, Rating, RiskNoticeRating

from mh_client._cli_client import open_client
from mh_client._cli_common import AsJson, MaybeUser, Url, print_json, print_text


def _notice(text: str) -> RiskNoticeRating:
    try:
        return RiskNoticeRating(text.replace("-", "_"))
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not one of {_NOTICES}") from None


_NOTICES = ", ".join(one.replace("_", "-") for one in RiskNoticeRating)


def feedback(
    ctx: typer.Context,
    answer_id: Annotated[UUID, typer.Argument(help="The answer's id.")],
    rating: Annotated[Rating | None, typer.Option(help="Whether the answer helped.")] = None,
    notice: Annotated[
        RiskNoticeRating | None,
        typer.Option(
            parser=_notice,
            metavar=_NOTICES.replace(", ", "|"),
            help="Whether its notice of risk was right; missing: there was none, and one was needed.",
        ),
    ] = None,
    comment: Annotated[str | None, typer.Option(help="Up to 2,000 characters. Do not name patients.")] = None,
    user: MaybeUser = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Say whether an answer helped, whether its notice of risk was right, or both; replaces what was said before."""
    with open_client(url or ctx.obj) as client:
        stored = client.history.feedback(answer_id, rating, comment, user, notice)
    if as_json:
        print_json(stored)
    else:
        print_text(f"Stored: {described(stored)}.")


def described(stored: Feedback) -> str:
    """Return feedback on one line, without its comment."""
    notice = stored.risk_notice and f"notice of risk {stored.risk_notice.replace('_', ' ')}"
    return ", ".join(filter(None, [stored.rating, notice]))
