"""Presidio's analyzer as a recognizer, for those who install it. No image and no extra brings it."""

from typing import TYPE_CHECKING, Final

from mh_common.identifiers.candidates import without_overlaps
from mh_common.identifiers.gazetteer import Known, gazetteer
from mh_common.identifiers.protocol import Identifier, IdentifierKind
from mh_common.identifiers.tokens import CAPITALISED, CAPITALS, tokens_of

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine

_MODELS: Final = ("en_core_web_trf", "en_core_web_lg", "en_core_web_md", "en_core_web_sm")
"""spaCy's English models, the best first."""
_LEAST_SCORE: Final = 0.35
"""Below it Presidio reports numbers for which nothing but their length speaks."""

_KINDS: Final = {
    "PERSON": IdentifierKind.PERSON,
    "LOCATION": IdentifierKind.PLACE,
    "ORGANIZATION": IdentifierKind.ORGANISATION,
    "PHONE_NUMBER": IdentifierKind.PHONE,
    "US_SSN": IdentifierKind.SOCIAL_SECURITY,
    "US_ITIN": IdentifierKind.OTHER,
    "US_PASSPORT": IdentifierKind.OTHER,
    "US_BANK_NUMBER": IdentifierKind.ACCOUNT,
    "CREDIT_CARD": IdentifierKind.ACCOUNT,
    "IBAN_CODE": IdentifierKind.ACCOUNT,
    "CRYPTO": IdentifierKind.ACCOUNT,
    "US_DRIVER_LICENSE": IdentifierKind.LICENSE,
    "MEDICAL_LICENSE": IdentifierKind.LICENSE,
    "IP_ADDRESS": IdentifierKind.IP_ADDRESS,
}
"""Presidio's entities that are identifiers. Its dates are left out: they include durations, ages and weekdays. So are
addresses of mail and pages: to check them it downloads a list of top-level domains."""

_NAMES: Final = (IdentifierKind.PERSON, IdentifierKind.PLACE, IdentifierKind.ORGANISATION)


class PresidioRecognizer:
    """Recognises what Presidio's analyzer does, in English."""

    def __init__(self) -> None:
        """Load Presidio and the best of the models that are installed.

        Raises:
            RuntimeError: Presidio or a model is not installed.
        """
        self._engine = _engine()
        self._gazetteer = gazetteer()

    def find(self, text: str) -> list[Identifier]:
        """See `Recognizer.find`."""
        results = self._engine.analyze(text=text, language="en", entities=list(_KINDS), score_threshold=_LEAST_SCORE)
        found = (Identifier(one.start, one.end, _KINDS[one.entity_type]) for one in results)
        return without_overlaps(
            one for one in found if one.kind not in _NAMES or self._is_name(text[one.start : one.end])
        )

    def _is_name(self, span: str) -> bool:
        """Return whether it may be a name: the small models take abbreviations, medicines and countries for names."""
        tokens = tokens_of(span, self._gazetteer)
        unknown = [
            token
            for token in tokens
            if not token.known & (Known.WORD | Known.HARMLESS | Known.FUNCTION)
            and (token.is_name or token.written != CAPITALS or len(token.text) > 5)
        ]
        several = len(tokens) > 1 and all(
            token.written == CAPITALISED and not token.known & Known.HARMLESS for token in tokens
        )
        return bool(unknown) or several


def _engine() -> "AnalyzerEngine":
    try:
        from presidio_analyzer import AnalyzerEngine
        from presidio_analyzer.nlp_engine import NlpEngineProvider
        from spacy.util import get_installed_models
    except ImportError as error:
        raise RuntimeError("Presidio is not installed: pip install presidio-analyzer") from error
    installed = sorted(get_installed_models())
    # Without one Presidio would try to download it.
    model = next((one for wanted in _MODELS for one in installed if one.startswith(wanted)), None)
    if model is None:
        raise RuntimeError(f"Presidio needs a spaCy model: python -m spacy download {_MODELS[-1]}")
    models = [{"lang_code": "en", "model_name": model}]
    provider = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
    return AnalyzerEngine(nlp_engine=provider.create_engine(), supported_languages=["en"])
