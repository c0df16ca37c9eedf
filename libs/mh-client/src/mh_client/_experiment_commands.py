"""The commands of `mh experiments`: saved evaluations."""

from typing import Annotated, Final

import typer
from mh_common.models import ExperimentKind

from mh_client._cli_client import open_client
from mh_client._cli_common import AsJson, Url, print_json, print_text

SHOWN_MEASURES: Final = ("hit@3", "ndcg@10", "citation_recall", "citation_precision", "refusal")
"""Those of search, then those of answers."""

app = typer.Typer(
    help="Manage saved evaluations of search and of answers.", no_args_is_help=True, rich_markup_mode=None
)

Id = Annotated[
    int,
    typer.Argument(min=1, help="The experiment's id; --compare of its command shows its figures."),
]


@app.command("list")
def _list(
    ctx: typer.Context,
    data_set: Annotated[str | None, typer.Option(metavar="SHA256", help="Only experiments on this data set.")] = None,
    kind: Annotated[
        ExperimentKind | None, typer.Option(help="Only evaluations of search, or only those of answers.")
    ] = None,
    limit: Annotated[int, typer.Option(help="Maximum number of experiments, 1 to 200.")] = 20,
    cursor: Annotated[str | None, typer.Option(help="Cursor printed by the previous call.")] = None,
    as_json: AsJson = False,
    url: Url = None,
) -> None:
    """List experiments, newest first."""
    with open_client(url or ctx.obj) as client:
        page = client.experiments.list(data_set, cursor, limit, kind)
    if as_json:
        print_json(page)
        return
    for one in page.items:
        known = [name for name in SHOWN_MEASURES if name in one.metrics.figures]
        figures = "  ".join(f"{name} {one.metrics.figures[name].value:.3f}" for name in known)
        print_text(
            f"{one.id:>6}  {one.created_at:%Y-%m-%d %H:%M}  {one.data_set.sha256[:8]}  {one.kind:<7}  "
            f"{figures}  {one.name}"
        )
    if page.next_cursor:
        print_text(f"There are more: --cursor {page.next_cursor}")


@app.command("show")
def _show(ctx: typer.Context, experiment_id: Id, url: Url = None) -> None:
    """Print a saved experiment as JSON."""
    with open_client(url or ctx.obj) as client:
        print_json(client.experiments.get(experiment_id))


@app.command("delete")
def _delete(ctx: typer.Context, experiment_id: Id, url: Url = None) -> None:
    """Permanently delete an experiment."""
    with open_client(url or ctx.obj) as client:
        client.experiments.delete(experiment_id)
    print_text("Deleted.")
