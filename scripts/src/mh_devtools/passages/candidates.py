"""Writes passages for raters, with their features, for questions to a running platform:

.venv/bin/python -m mh_devtools.passages.candidates questions.jsonl --url http://127.0.0.1:8080 > candidates.jsonl

Each line of the input has a `question`. For each of them there are the most useful passages by the present weights, and
a few others, so that weights can be fitted (`mh_devtools.passages.fit_weights`) to more than what is shown today.
The local embedding model is that of --model.
"""

import argparse
import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from mh_client import AsyncClient, GroupBy, MHError
from mh_common.embeddings import make_embedder
from mh_common.embeddings.settings import EmbeddingSettings, OpenAISettings
from mh_common.models import Source
from mh_common.risk import LexiconScreener
from rag_api.passages.choosing import RatedStretch
from rag_api.passages.finder import PassageFinder
from rag_api.safety.helplines import helpline_table
from rag_api.safety.notice import Notices
from rag_api.safety.screening import ScreeningService

QUESTIONS: Final = 5
"""Similar questions whose answers are looked through."""
BEST: Final = 4
OTHERS: Final = 2
FURTHER: Final = 60
"""The rank up to which the others are taken from."""


def main() -> None:
    """Write the candidates for each question of the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--url", default="http://127.0.0.1:8080", help="the platform")
    parser.add_argument("--model", help="the local embedding model of the platform; all-MiniLM-L6-v2 unless given")
    arguments = parser.parse_args()
    questions = [json.loads(line)["question"] for line in arguments.file.read_text("utf-8").splitlines()]
    try:
        asyncio.run(write(questions, arguments.url, arguments.model))
    except MHError as error:
        sys.exit(f"{type(error).__name__}: {error}")


async def write(questions: Sequence[str], url: str, model: str | None) -> None:
    """Print a line of JSON for each candidate."""
    embedder = make_embedder(EmbeddingSettings(provider="local", model=model), OpenAISettings())
    screening = ScreeningService(None, LexiconScreener(), Notices(helpline_table(), (), date.today))
    finder = PassageFinder(embedder, screening)
    try:
        async with AsyncClient(url) as client:
            async for line in candidates(questions, client, finder):
                print(json.dumps(line, ensure_ascii=False))
    finally:
        await embedder.close()


async def candidates(
    questions: Sequence[str], client: AsyncClient, finder: PassageFinder
) -> AsyncIterator[dict[str, Any]]:
    """Yield each candidate with its question, text and features."""
    choice = random.Random(1)
    for question in questions:
        hits = (await client.search(question, plain_query=True, group_by=GroupBy.QUESTION, limit=QUESTIONS)).hits
        sources = [Source.model_validate(hit, from_attributes=True) for hit in hits]
        ranked = distinct(sorted(await finder.rate(question, sources), key=lambda one: -one.usefulness))
        others = ranked[BEST:FURTHER]
        for one in [*ranked[:BEST], *choice.sample(others, min(OTHERS, len(others)))]:
            assert one.features is not None
            yield {"question": question, "passage": one.stretch.text, "features": one.features._asdict()}


def distinct(ranked: Sequence[RatedStretch]) -> list[RatedStretch]:
    """Return the stretches that share no sentence with one before them."""
    taken: set[tuple[int, int]] = set()
    kept = []
    for one in ranked:
        own = {(one.stretch.source, number) for number in one.stretch.numbers}
        if not taken & own:
            kept.append(one)
            taken |= own
    return kept


if __name__ == "__main__":
    main()
