"""The commands `mh search` and `mh similar`."""

from typing import Annotated, Final, Unpack

import typer
from mh_common.fields import FoundAdvice, ReviewState, RiskLevel
from mh_common.models import EDITABLE_DETAILS, Explanation, GroupBy, SearchHit, SearchMode, SearchResult

from mh_client._cli_client import open_client
from mh_client._cli_common import AsJson, Url, print_json, print_text
from mh_client._filter_options import with_filters
from mh_client._terminal import print_notice, truncate
from mh_client.resources._fields import FieldFilters
from mh_client.resources.search import SearchOptions

MAX_DISPLAY_LENGTH: Final = 300

Limit = Annotated[int, typer.Option(help="Maximum number of hits, 1 to 100.")]
Threshold = Annotated[float | None, typer.Option(help="Omit hits with a lower score, 0 to 1.")]


@with_filters
def search(
    ctx: typer.Context,
    query: Annotated[
        str, typer.Argument(help='Free text; may contain "a phrase", -word and filters such as created_at>=2026-03.')
    ],
    limit: Limit = 10,
    mode: Annotated[SearchMode, typer.Option(help="Search by meaning, by keywords, or both (hybrid).")] = (
        SearchMode.HYBRID
    ),
    all_answers: Annotated[
        bool, typer.Option("--all-answers", help="Show every conversation, not only the best match per question.")
    ] = False,
    plain: Annotated[bool, typer.Option("--plain", help="Treat the query as free text only.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Show how each hit was found.")] = False,
    similarity_threshold: Threshold = None,
    as_json: AsJson = False,
    url: Url = None,
    **filters: Unpack[FieldFilters],
) -> None:
    """Search conversations by meaning and keywords, best first. Risk noticed in the query is said before them."""
    asked = SearchOptions(
        limit=limit,
        mode=mode,
        group_by=GroupBy.NONE if all_answers else GroupBy.QUESTION,
        plain_query=plain,
        explain=explain,
        similarity_threshold=similarity_threshold,
        **filters,
    )
    with open_client(url or ctx.obj) as client:
        found = client.search(query, **asked)
    if not as_json:
        print_notice(found.as_line())
    _print(found, as_json=as_json)


def similar(
    ctx: typer.Context,
    conversation_id: Annotated[int, typer.Argument(min=1, help="The conversation to start from.")],
    limit: Limit = 10,
    similarity_threshold: Threshold = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """Find questions similar to that of a conversation, best first."""
    with open_client(url or ctx.obj) as client:
        _print(client.similar(conversation_id, limit, similarity_threshold or 0.0), as_json=as_json)


def _print(result: SearchResult, *, as_json: bool) -> None:
    if as_json:
        print_json(result)
        return
    for hit in result.hits:
        _print_hit(hit)
    if not result.hits:
        print_text("Nothing found.")
    elif result.relevance_threshold is not None and result.hits[0].relevance < result.relevance_threshold:
        print_text("None of these results seems relevant.")


def _print_hit(hit: SearchHit) -> None:
    print_text(f"{hit.score:.3f}  conversation {hit.id}  ({hit.question_sentiment} / {hit.answer_sentiment})")
    if hit.explanation:
        print_text(f"  {_explained(hit.explanation)}")
    print_text(f"  Q: {truncate(hit.question, MAX_DISPLAY_LENGTH)}")
    print_text(f"  A: {truncate(hit.answer, MAX_DISPLAY_LENGTH)}")
    details = [str(value) for name in EDITABLE_DETAILS if (value := getattr(hit, name))]
    if hit.risk_level not in (None, RiskLevel.NONE):
        details.append(f"risk: {hit.risk_level}")
    if hit.unsafe_advice not in (None, FoundAdvice.NONE):
        details.append(f"unsafe advice: {hit.unsafe_advice}")
    if hit.review_state is not ReviewState.UNREVIEWED:
        details.append(str(hit.review_state))
    if details:
        print_text(f"  {' · '.join(details)}")
    print_text("")


def _explained(explanation: Explanation) -> str:
    parts = (f"{part.part} {part.score:.3f} (rank {part.rank or 'none'})" for part in explanation.parts)
    return f"evidence {explanation.evidence:.3f}: {', '.join(parts)}"
