"""Import a file of conversations: `python scripts/import_conversations.py FILE [options of mh import]`."""

import sys

from mh_client.cli import main

if __name__ == "__main__":
    main(["import", *sys.argv[1:]])
