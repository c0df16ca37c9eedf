"""What the lexicon's matches mean together: denied, past, general, a figure of speech, or pressing.

Neighbouring sentences are read together: "He keeps a gun under the bed. He says he will use it."
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

from mh_common.models.risk import Risk, RiskCategory, RiskLevel, RiskSpan
from mh_common.risk.lexicon import Grammar, Hit, Kind, Lexicon, Sign
from mh_common.risk.words import Words, words_of

_NEAR: Final = 1
"""Sentences that two signs may be apart."""
_DENIED_AFTER: Final = 4
"""Words between what is denied and the word that denies it, as in "suicidal ideation: denied"."""
_SHORT_LIST: Final = 14
"""Words between "denies" and the last thing that is denied."""

_PRESSING: Final = {
    RiskCategory.SUICIDE: {Sign.SOON, Sign.PLAN, Sign.MEANS, Sign.WEAPON, Sign.INTENT, Sign.FAREWELL},
    RiskCategory.HARM_TO_OTHERS: {Sign.SOON, Sign.PLAN, Sign.WEAPON, Sign.INTENT},
    RiskCategory.DOMESTIC_VIOLENCE: {Sign.SOON, Sign.WEAPON},
    RiskCategory.ABUSE: {Sign.SOON},
    RiskCategory.OVERDOSE: {Sign.SOON},
    RiskCategory.PSYCHOSIS: {Sign.SOON, Sign.WEAPON, Sign.INTENT},
    RiskCategory.SELF_HARM: set(),
}
"""The signs that make an elevated risk acute."""


@dataclass(frozen=True, slots=True)
class Together:
    """Signs that are a risk when they are near each other."""

    signs: tuple[Sign, Sign]
    category: RiskCategory
    level: RiskLevel


_TOGETHER: Final = (
    Together((Sign.MEANS, Sign.INTENT), RiskCategory.SUICIDE, RiskLevel.ACUTE),
    Together((Sign.MEANS, Sign.PLAN), RiskCategory.SUICIDE, RiskLevel.ACUTE),
    Together((Sign.MEANS, Sign.FAREWELL), RiskCategory.SUICIDE, RiskLevel.ACUTE),
    Together((Sign.MEANS, Sign.HOPELESS), RiskCategory.SUICIDE, RiskLevel.ELEVATED),
    Together((Sign.WEAPON, Sign.INTENT), RiskCategory.HARM_TO_OTHERS, RiskLevel.ACUTE),
    Together((Sign.WEAPON, Sign.HOPELESS), RiskCategory.SUICIDE, RiskLevel.ELEVATED),
    Together((Sign.WEAPON, Sign.FAREWELL), RiskCategory.SUICIDE, RiskLevel.ACUTE),
    Together((Sign.WEAPON, Sign.FEAR), RiskCategory.HARM_TO_OTHERS, RiskLevel.ELEVATED),
    Together((Sign.FAREWELL, Sign.HOPELESS), RiskCategory.SUICIDE, RiskLevel.ELEVATED),
    Together((Sign.FAREWELL, Sign.FAREWELL), RiskCategory.SUICIDE, RiskLevel.ELEVATED),
    Together((Sign.FAREWELL, Sign.PLAN), RiskCategory.SUICIDE, RiskLevel.ACUTE),
    Together((Sign.HOPELESS, Sign.HOPELESS), RiskCategory.SUICIDE, RiskLevel.ELEVATED),
    Together((Sign.HOPELESS, Sign.INTENT), RiskCategory.SUICIDE, RiskLevel.ELEVATED),
    Together((Sign.HOPELESS, Sign.PLAN), RiskCategory.SUICIDE, RiskLevel.ACUTE),
    Together((Sign.DELUSION, Sign.WEAPON), RiskCategory.PSYCHOSIS, RiskLevel.ACUTE),
    Together((Sign.DELUSION, Sign.INTENT), RiskCategory.PSYCHOSIS, RiskLevel.ELEVATED),
)


@dataclass(frozen=True, slots=True)
class Finding:
    """A risk in the words `first` to `last` (inclusive)."""

    category: RiskCategory
    level: RiskLevel
    first: int
    last: int
    sentence: int


@dataclass(slots=True)
class Screening:
    """What the lexicon says about a text."""

    words: Words
    findings: list[Finding] = field(default_factory=list)
    figures: set[int] = field(default_factory=set)
    """Sentences with a figure of speech and no risk besides."""

    lowered: set[int] = field(default_factory=set)
    """Sentences whose risk is denied, past or general."""


def screen_by_lexicon(text: str, lexicon: Lexicon) -> Screening:
    """Return what the lexicon notices in a text, in time proportional to its length."""
    words = words_of(text, lexicon.speller)
    return _Screener(words, lexicon).screening()


def risk_of(text_spans: Iterable[RiskSpan]) -> Risk:
    """Return the risk that these spans amount to."""
    spans = sorted(text_spans, key=lambda span: (span.start, span.end, span.category, -span.level.rank))
    level = max((span.level for span in spans), key=lambda level: level.rank, default=RiskLevel.NONE)
    counts: defaultdict[RiskCategory, int] = defaultdict(int)
    for span in spans:
        if span.level == level:
            counts[span.category] += 1
    return Risk(level=level, categories=sorted(counts, key=lambda category: -counts[category]), spans=spans)


def spans_of(screening: Screening) -> list[RiskSpan]:
    """Return the findings as spans of the original text; those of one category that overlap are joined."""
    words = screening.words
    joined: dict[RiskCategory, list[RiskSpan]] = defaultdict(list)
    for finding in sorted(screening.findings, key=lambda finding: (finding.first, finding.last)):
        start, end = words.starts[finding.first], words.ends[finding.last]
        before = joined[finding.category]
        if before and start < before[-1].end:
            start, end = before[-1].start, max(end, before[-1].end)
            level = max(before.pop().level, finding.level, key=lambda level: level.rank)
        else:
            level = finding.level
        before.append(RiskSpan(start=start, end=end, category=finding.category, level=level))
    return [span for spans in joined.values() for span in spans]


class _Screener:
    def __init__(self, words: Words, lexicon: Lexicon) -> None:
        self._words = words
        self._lexicon = lexicon
        self._hits: defaultdict[Kind, list[Hit]] = defaultdict(list)
        for hit in lexicon.find(words):
            self._hits[hit.entry.kind].append(hit)
        self._languages: dict[int, str] = {}
        self._general = {hit.sentence for hit in self._hits[Kind.GENERAL]}

    def screening(self) -> Screening:
        screening = Screening(self._words)
        figurative = {place for hit in self._hits[Kind.FIGURE] for place in hit.places}
        risks = [hit for hit in self._hits[Kind.RISK] if figurative.isdisjoint(hit.places)]
        risks = list(_without_covered(risks))
        signs = [
            hit
            for hit in self._hits[Kind.SIGN]
            if figurative.isdisjoint(hit.places) and not self._is_denied(hit) and not self._is_past(hit)
        ]
        by_sentence = _signs_by_sentence(signs)
        for hit in risks:
            level = self._level(hit)
            if level == RiskLevel.LOW and hit.entry.level != RiskLevel.LOW:
                screening.lowered.add(hit.sentence)
            if level == RiskLevel.ELEVATED and self._is_pressing(hit, by_sentence):
                level = RiskLevel.ACUTE
            category = hit.entry.category
            assert category is not None  # as the kind is RISK
            screening.findings.append(Finding(category, level, hit.first, hit.last, hit.sentence))
        screening.findings += _together(signs)
        noticed = {finding.sentence for finding in screening.findings}
        screening.figures = {hit.sentence for hit in self._hits[Kind.FIGURE]} - noticed
        return screening

    def _level(self, hit: Hit) -> RiskLevel:
        level = hit.entry.level
        if level.needs_notice and (self._is_denied(hit) or self._is_past(hit) or self._is_general(hit)):
            return RiskLevel.LOW
        return level

    def _is_pressing(self, hit: Hit, signs: dict[int, set[Sign]]) -> bool:
        assert hit.entry.category is not None  # as the kind is RISK
        pressing = _PRESSING[hit.entry.category]
        if signs[hit.sentence] & pressing:
            return True
        # "Tonight" in the next sentence may be about anything.
        near = signs[hit.sentence - _NEAR] | signs[hit.sentence + _NEAR]
        return bool(near & (pressing - {Sign.SOON}))

    def _is_general(self, hit: Hit) -> bool:
        if hit.sentence not in self._general:
            return False
        start, end = self._words.sentences[hit.sentence]
        text = self._words.text[start:end]
        return all(grammar.persons.isdisjoint(text) for grammar in self._grammars(hit))

    def _is_denied(self, hit: Hit) -> bool:
        return any(
            self._is_denied_before(hit, grammar)
            or self._is_denied_inside(hit, grammar)
            or self._is_denied_after(hit, grammar)
            for grammar in self._grammars(hit)
        )

    def _is_denied_before(self, hit: Hit, grammar: Grammar) -> bool:
        words, before = self._words.text, self._words.before
        start = self._words.sentences[hit.sentence][0]
        comma = False
        for place in range(hit.first - 1, max(start, hit.first - _SHORT_LIST) - 1, -1):
            comma = comma or before[place + 1] == ","
            word = words[place]
            if word in grammar.lists:
                return True
            if word in grammar.negations:
                return not comma
            if word in grammar.contrast or word not in grammar.through:
                return False
        return False

    def _is_denied_inside(self, hit: Hit, grammar: Grammar) -> bool:
        between = set(range(hit.first, hit.last)).difference(hit.places)
        return any(
            self._words.text[place] in grammar.negations or self._words.text[place] in grammar.lists
            for place in between
        )

    def _is_denied_after(self, hit: Hit, grammar: Grammar) -> bool:
        return any(
            denied.sentence == hit.sentence
            and 0 < denied.first - hit.last <= _DENIED_AFTER
            and grammar.contrast.isdisjoint(self._words.text[hit.last : denied.first])
            for denied in self._hits[Kind.DENIED]
        )

    def _is_past(self, hit: Hit) -> bool:
        return any(self._is_past_in(hit, grammar) for grammar in self._grammars(hit))

    def _is_past_in(self, hit: Hit, grammar: Grammar) -> bool:
        words = self._words.text
        if any(words[place] in grammar.present for place in hit.places):
            return False
        start, end = self._segment(hit, grammar)

        def speaks_of(time: Hit) -> bool:
            return time.sentence == hit.sentence and start <= time.first and time.last < end

        return any(map(speaks_of, self._hits[Kind.HISTORY])) and not any(map(speaks_of, self._hits[Kind.PRESENT]))

    def _segment(self, hit: Hit, grammar: Grammar) -> tuple[int, int]:
        """Return the part of its sentence around a match, between words of contrast."""
        words = self._words.text
        start, end = self._words.sentences[hit.sentence]
        first = next((at + 1 for at in range(hit.first - 1, start - 1, -1) if words[at] in grammar.contrast), start)
        last = next((at for at in range(hit.last + 1, end) if words[at] in grammar.contrast), end)
        return first, last

    def _grammars(self, hit: Hit) -> list[Grammar]:
        """Return the grammar of the match and that of its sentence: languages share words such as "suicide"."""
        grammars = self._lexicon.grammars
        language = self._language(hit.sentence)
        return [grammars[name] for name in dict.fromkeys((hit.entry.language, language))]

    def _language(self, sentence: int) -> str:
        """Return the language whose small words are the most frequent in a sentence."""
        if sentence not in self._languages:
            start, end = self._words.sentences[sentence]
            text = self._words.text[start:end]
            grammars = self._lexicon.grammars
            self._languages[sentence] = max(
                grammars, key=lambda name: sum(word in grammars[name].common for word in text)
            )
        return self._languages[sentence]


def _without_covered(hits: list[Hit]) -> Iterator[Hit]:
    """Leave out what is part of a longer match that says less: "I stopped cutting" holds "cutting"."""
    exempt = [hit for hit in hits if not hit.entry.level.needs_notice]
    for hit in hits:
        if hit.entry.level.needs_notice and any(
            other.entry.category == hit.entry.category and set(hit.places) < set(other.places) for other in exempt
        ):
            continue
        yield hit


def _signs_by_sentence(signs: Iterable[Hit]) -> defaultdict[int, set[Sign]]:
    by_sentence: defaultdict[int, set[Sign]] = defaultdict(set)
    for hit in signs:
        assert hit.entry.sign is not None  # as the kind is SIGN
        by_sentence[hit.sentence].add(hit.entry.sign)
    return by_sentence


def _together(signs: list[Hit]) -> Iterator[Finding]:
    """Yield a finding for each pair of signs that are a risk together, on the words of both."""
    by_sign: defaultdict[Sign, list[Hit]] = defaultdict(list)
    for hit in signs:
        if hit.entry.sign:
            by_sign[hit.entry.sign].append(hit)
    for rule in _TOGETHER:
        one, other = rule.signs
        for hit in by_sign[one]:
            for second in by_sign[other]:
                near = abs(hit.sentence - second.sentence) <= _NEAR
                if near and hit.entry is not second.entry and set(hit.places).isdisjoint(second.places):
                    for part in (hit, second):
                        yield Finding(rule.category, rule.level, part.first, part.last, part.sentence)
