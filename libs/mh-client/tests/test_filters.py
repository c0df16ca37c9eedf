"""The client and its commands have every filter of the platform."""

import typer.main
from mh_client._commands import app
from mh_client.resources._fields import FieldFilters
from mh_common.fields import FILTERS


def test_the_client_names_every_filter() -> None:
    assert list(FieldFilters.__annotations__) == list(FILTERS)


def test_search_and_export_have_an_option_for_every_filter() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name in ("search", "export"):
        options = {parameter.name for parameter in commands[name].params}
        assert set(FILTERS) <= options


def test_what_the_platform_finds_out_is_no_option_of_commands_that_write() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name in ("create", "edit"):
        options = {parameter.name for parameter in commands[name].params}
        assert "category" in options
        assert "risk_level" not in options
