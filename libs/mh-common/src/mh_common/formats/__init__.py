"""Files of conversations as people have them: read, recognised and written. No network, no terminal, no database.

```python
with open_rows(Path("conversations.csv")) as reader:
    for record in reader:
        if isinstance(record, Row):
            ConversationCreate.model_validate(record.values)
```

CSV and JSON need nothing but pydantic; the extras `parquet` and `xlsx` bring what the other two formats need.
"""

from mh_common.formats.columns import parse_columns
from mh_common.formats.encodings import encoding_name
from mh_common.formats.guards import guard, unguard
from mh_common.formats.opening import open_rows
from mh_common.formats.rows import (
    FIELDS,
    Facts,
    FileRefusedError,
    Format,
    Reader,
    ReadOptions,
    Reject,
    Row,
)
from mh_common.formats.writers import Writer, make_writer, written
from mh_common.sentiments import parse_sentiment

__all__ = [
    "FIELDS",
    "Facts",
    "FileRefusedError",
    "Format",
    "ReadOptions",
    "Reader",
    "Reject",
    "Row",
    "Writer",
    "encoding_name",
    "guard",
    "make_writer",
    "open_rows",
    "parse_columns",
    "parse_sentiment",
    "unguard",
    "written",
]
