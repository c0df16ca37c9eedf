"""Trains the classifier of `mh_common.risk_classifier`. Only needed for development.

    pip install torch onnx safetensors               # beside the development packages; torch for the CPU is enough
    python -m mh_devtools.risk.train                 # twenty minutes on one CPU; writes the graph

Adapters of all-MiniLM-L6-v2 and a decision about each sentence are learned from whole messages: a message is as
dangerous as its most dangerous sentence, and its label does not say which one that is (multiple-instance learning).
Messages are mixed at random, so that length says nothing either. Afterwards the decision is shifted so that the wished
share of messages without danger gets no notice, among messages that were not learned from (`TUNING`).
"""

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from mh_common.embeddings.local import find_model_dir
from mh_common.models import RiskLevel
from mh_common.risk_classifier.classifier import CATEGORIES, GRAPH, MAX_SENTENCE
from mh_common.risk_classifier.english import sentences_in_english
from tokenizers import Tokenizer
from torch.nn import functional

from mh_devtools.risk.adapted_minilm import AdaptedMiniLM
from mh_devtools.risk.build_graph import build
from mh_devtools.risk.texts import TRAINING, TUNING, LabelledText, read_texts

EPOCHS: Final = 4
BATCH: Final = 32
LEARNING_RATE: Final = 1e-3
WARM_UP: Final = 60
"""Batches until the learning rate is reached."""

MAX_TOKENS: Final = 250
"""Of a message that are learned from."""

MIXED: Final = 0.35
"""Share of the messages that are changed by sentences of others, or shortened."""

SENTENCES_WEIGHT: Final = 0.3
"""Of the loss of each sentence of a message without danger."""

DETAILS_WEIGHT: Final = 0.3
"""Of the losses of urgency and categories."""


@dataclass(frozen=True)
class Message:
    """A labelled message as the model reads it: the tokens of each sentence."""

    sentences: Sequence[Sequence[int]]
    language: str
    is_danger: bool
    is_acute: bool
    categories: Sequence[float]


class Reader:
    """Makes messages of texts, as `RiskClassifier` does."""

    def __init__(self, model_dir: Path) -> None:
        self._tokenizer = Tokenizer.from_file(str(model_dir / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()

    def messages(self, texts: Sequence[LabelledText]) -> list[Message]:
        """Return the texts as messages."""
        return [self._message(text) for text in texts]

    def _message(self, labelled: LabelledText) -> Message:
        shown = [sentence for _, _, sentence in sentences_in_english(labelled.text)]
        encoded = self._tokenizer.encode_batch(shown, add_special_tokens=False)
        return Message(
            [encoding.ids[:MAX_SENTENCE] for encoding in encoded],
            labelled.language,
            labelled.level.needs_notice,
            labelled.level == RiskLevel.ACUTE,
            [float(category in labelled.categories) for category in CATEGORIES],
        )


def mixed(messages: Sequence[Message], chance: random.Random) -> Iterator[Message]:
    """Yield each message, some between sentences of a harmless one of the same language, some harmless ones cut."""
    harmless = [message for message in messages if not message.is_danger]
    for message in messages:
        yield _mixed(message, chance.choice(harmless), chance) if chance.random() < MIXED else message


def _mixed(message: Message, other: Message, chance: random.Random) -> Message:
    sentences = list(message.sentences)
    if len(sentences) <= 2:
        if other.language != message.language:
            return message
        taken = list(other.sentences)
        if len(taken) > 3:
            middle = chance.randint(0, len(taken))
            taken = taken[max(0, middle - 2) : middle + 2]
        place = chance.randint(0, len(taken))
        sentences = [*taken[:place], *sentences, *taken[place:]]
    elif len(sentences) > 3 and not message.is_danger:
        place = chance.randint(1, len(sentences) - 1)
        sentences = sentences[place:] if chance.random() < 0.5 else sentences[:place]
    return Message(sentences, message.language, message.is_danger, message.is_acute, message.categories)


def inputs(messages: Sequence[Message]) -> tuple[Any, Any, Any]:
    """Return token ids, their mask, and the share of each token in its sentence, of what fits the window."""
    rows, places = [], []
    for message in messages:
        ids, spans = [101], []
        for sentence in message.sentences:
            if len(ids) + len(sentence) >= MAX_TOKENS:
                break
            spans.append((len(ids), len(ids) + len(sentence)))
            ids += sentence
        rows.append([*ids, 102])
        places.append(spans)
    width, most = max(map(len, rows)), max(map(len, places))
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    mask = torch.zeros(len(rows), width)
    shares = torch.zeros(len(rows), most, width)
    for row, (tokens, spans) in enumerate(zip(rows, places, strict=True)):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        for number, (start, end) in enumerate(spans):
            shares[row, number, start:end] = 1 / max(1, end - start)
    return ids, mask, shares


def loss_of(scores: Any, shares: Any, messages: Sequence[Message]) -> Any:
    """Return the loss of a batch, from the scores of each sentence: danger, urgency, categories."""
    is_sentence = shares.sum(-1) > 0
    danger = scores[..., 0].masked_fill(~is_sentence, -1e4)
    strongest, where = danger.max(1)
    is_danger = torch.tensor([message.is_danger for message in messages])
    loss = functional.binary_cross_entropy_with_logits(strongest, is_danger.float())
    harmless = danger[~is_danger[:, None] & is_sentence]
    if len(harmless):
        loss = loss + SENTENCES_WEIGHT * functional.softplus(harmless).mean()
    if is_danger.any():
        details = scores[torch.arange(len(messages)), where][is_danger][:, 1:]
        dangerous = [message for message in messages if message.is_danger]
        wanted = torch.tensor([[float(message.is_acute), *message.categories] for message in dangerous])
        urgency = functional.binary_cross_entropy_with_logits(details[:, 0], wanted[:, 0])
        categories = functional.binary_cross_entropy_with_logits(details[:, 1:], wanted[:, 1:])
        loss = loss + DETAILS_WEIGHT * (urgency + categories)
    return loss


def train(model: AdaptedMiniLM, messages: Sequence[Message], epochs: int, chance: random.Random) -> None:
    """Learn; print the loss of each epoch."""
    optimizer = torch.optim.AdamW(model.learned.values(), lr=LEARNING_RATE, weight_decay=0.01)
    steps = epochs * -(-len(messages) // BATCH)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1, (step + 1) / WARM_UP) * max(0.02, 1 - step / steps)
    )
    for epoch in range(epochs):
        total = 0.0
        batches = list(_batches(list(mixed(messages, chance)), chance))
        for batch in batches:
            ids, mask, shares = inputs(batch)
            loss = loss_of(model.scores(ids, mask, shares, is_training=True), shares, batch)
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.learned.values(), 1.0)
            optimizer.step()
            schedule.step()
            total += loss.item()
        print(f"epoch {epoch + 1} of {epochs}: loss {total / len(batches):.3f}", flush=True)


def _batches(messages: list[Message], chance: random.Random) -> Iterator[list[Message]]:
    """Yield batches of messages of about the same length, in any order."""
    lengths = [sum(map(len, message.sentences)) + 15 * chance.random() for message in messages]
    order = sorted(range(len(messages)), key=lengths.__getitem__)
    batches = [order[start : start + BATCH] for start in range(0, len(order), BATCH)]
    chance.shuffle(batches)
    for batch in batches:
        yield [messages[position] for position in batch]


def danger_of(model: AdaptedMiniLM, messages: Sequence[Message]) -> list[float]:
    """Return the score of the most dangerous sentence of each message."""
    found = []
    with torch.no_grad():
        for message in messages:
            ids, mask, shares = inputs([message])
            found.append(float(model.scores(ids, mask, shares)[..., 0].max()))
    return found


def shift(model: AdaptedMiniLM, messages: Sequence[Message], quiet: float) -> None:
    """Shift the decision so that this share of the harmless messages gets no notice; print what that means."""
    scores = np.array(danger_of(model, messages))
    is_danger = np.array([message.is_danger for message in messages])
    threshold = float(np.quantile(scores[~is_danger], quiet))
    model.learned["decision.bias"].data[0] -= threshold
    noticed = np.mean(scores[is_danger] > threshold)
    print(f"threshold {threshold:.2f}: notices {noticed:.3f} of {is_danger.sum()} with danger, none for {quiet:.3f}")


def main() -> None:
    """Train, and write the graph."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--rank", type=int, default=8, help="of the adapters")
    parser.add_argument("--quiet", type=float, default=0.9, help="share of harmless messages without a notice")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--output", type=Path, default=GRAPH)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    chance = random.Random(options.seed)
    folder = find_model_dir()
    reader = Reader(folder)
    model = AdaptedMiniLM(folder, options.rank)
    train(model, reader.messages(list(read_texts(*TRAINING))), options.epochs, chance)
    shift(model, reader.messages(list(read_texts(*TUNING))), options.quiet)
    options.output.write_bytes(build(folder, model.finished()).SerializeToString())


if __name__ == "__main__":
    main()
