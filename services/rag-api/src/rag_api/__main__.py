"""Serve the API: `python -m rag_api`. Waits for Milvus first."""

from mh_common.settings import load_settings
from mh_common.startup import run_or_exit
from mh_common.web.serving import serve

from rag_api.settings import Settings


def main() -> None:
    """Check settings and stores, then run gunicorn in this process; on failure, exit with a one-line message."""
    settings = load_settings(Settings)
    # Imported late: pymilvus reads MILVUS_URI on import and raises a traceback if it is invalid.
    from rag_api.preflight import wait_until_usable

    run_or_exit(wait_until_usable(settings))
    serve("rag_api.main:create_app()", settings.web)


if __name__ == "__main__":
    main()
