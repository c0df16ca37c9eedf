"""Entry point of the `mh` command. Without the extra `cli`, it prints how to install it."""

import sys
from collections.abc import Sequence
from typing import NoReturn

_CLI_PACKAGES = ("rich", "typer", "vaderSentiment")


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command with these arguments (default: those of the process) and exit.

    Exit codes: 0 success; 1 the server returned an error, rows were rejected, a run failed, or a figure is below its
    limit; 2 invalid file or arguments; 3 the server is unreachable or unavailable; 130 Ctrl-C.
    """
    try:
        from mh_client._commands import run
    except ModuleNotFoundError as error:
        if error.name not in _CLI_PACKAGES:
            raise
        print("mh: the command line is not installed; install it with: pip install 'mh-client[cli]'", file=sys.stderr)
        sys.exit(2)
    run(args)


if __name__ == "__main__":
    main()
