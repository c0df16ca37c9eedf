"""What this service uses for answers and searches."""

from importlib.metadata import version

from mh_common.embeddings import Embedder, EmbeddingPlan
from mh_common.models import About, ModelInfo

from rag_api.answers.language_models import LanguageModels


def describe(
    package: str, models: LanguageModels, embedder: Embedder, plan: EmbeddingPlan, safety_screening: bool
) -> About:
    """Return what answers and searches in this process, which does not change while it runs.

    Args:
        package: whose version is that of the platform.
        models: the language models.
        embedder: the embedding model.
        plan: where its texts are sent.
        safety_screening: whether questions and answers are screened for risk.
    """
    language_model = None
    if models.configured is not None:
        language_model = ModelInfo(
            name=models.configured.name,
            recipient=models.recipient.name,
            remote=models.recipient.is_remote,
            phi_mode=models.phi_mode,
        )
    embedding = ModelInfo(
        name=embedder.model, recipient=plan.recipient.name, remote=plan.recipient.is_remote, phi_mode=plan.phi_mode
    )
    return About(
        version=version(package),
        answers="quotes" if language_model is None else "model",
        language_model=language_model,
        embedding=embedding,
        safety_screening=safety_screening,
    )
