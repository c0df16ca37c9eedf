"""The `mh` command. Its parts need the extra `cli`; without it, `mh` says how to get it."""

import sys
from collections.abc import Sequence
from typing import NoReturn

_CLI_PACKAGES = ("rich", "typer", "vaderSentiment")


def main(args: Sequence[str] | None = None) -> NoReturn:
    """Run the command with these arguments (default: those of the process) and exit.

    Exit codes: 0 done; 1 refused by the server, or imported but for rejected rows; 2 unusable file or arguments; 3 the
    server cannot be reached; 130 ended by Ctrl-C.
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
