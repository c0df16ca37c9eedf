"""Serves the API: `python -m conversations_api`. First waits for its stores."""

from mh_common.settings import load_settings
from mh_common.startup import run_or_exit
from mh_common.web.serving import serve

from conversations_api.preflight import prepare_accounts, wait_until_usable
from conversations_api.settings import Settings


def main() -> None:
    """Check settings and stores, then become gunicorn; or exit with one line that says what to do."""
    settings = load_settings(Settings)
    run_or_exit(wait_until_usable(settings))
    run_or_exit(prepare_accounts(settings))
    serve("conversations_api.main:create_app()", settings.web)


if __name__ == "__main__":
    main()
