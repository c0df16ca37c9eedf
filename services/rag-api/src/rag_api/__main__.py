"""Serve the API: `python -m rag_api`. Waits for its store first."""

from mh_common.settings import load_settings
from mh_common.startup import run_or_stop
from mh_common.web.serving import serve

from rag_api.settings import Settings


def main() -> None:
    """Look at settings and stores, then become gunicorn; or end with one line on what to do."""
    settings = load_settings(Settings)
    # Late, since pymilvus reads MILVUS_URI when it is loaded, and answers a bad one with a trace.
    from rag_api.preflight import wait_until_usable

    run_or_stop(wait_until_usable(settings))
    serve("rag_api.main:create_app()", settings.web)


if __name__ == "__main__":
    main()
