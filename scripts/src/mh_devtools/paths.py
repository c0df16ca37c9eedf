"""Where the parts of this checkout are."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[3]
DATABASE_SERVICE: Final = ROOT / "services" / "conversations-api"
"""Has the migrations."""
SAMPLE: Final = ROOT / "scripts" / "sample"
"""A small data set, and the queries with which search is measured on it."""
