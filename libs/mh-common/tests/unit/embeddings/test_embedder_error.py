import pickle

from mh_common.embeddings import EmbedderError


def test_an_error_can_be_pickled() -> None:
    error = pickle.loads(pickle.dumps(EmbedderError("busy", transient=True, retry_after=3.0)))  # noqa: S301 - our own
    assert isinstance(error, EmbedderError)
    assert (str(error), error.transient, error.retry_after) == ("busy", True, 3.0)


def test_retry_after_is_unknown_by_default() -> None:
    assert EmbedderError("refused", transient=False).retry_after is None
