"""The contract of the vector collection."""

from hypothesis import given
from hypothesis import strategies as st
from mh_common import vector_index


@given(st.text(), st.integers(min_value=4, max_value=40))
def test_a_cut_text_is_the_longest_prefix_that_fits(text: str, limit: int) -> None:
    cut = vector_index.truncate_to_bytes(text, limit)

    assert text.startswith(cut)
    assert len(cut.encode()) <= limit
    longer = text[: len(cut) + 1]
    assert longer == cut or len(longer.encode()) > limit


def test_a_short_text_is_left_whole_and_a_long_one_fits_the_field() -> None:
    assert vector_index.truncate_to_bytes("short 🙂") == "short 🙂"
    assert len(vector_index.truncate_to_bytes("🙂" * 1_000_000).encode()) <= vector_index.MAX_VARCHAR_BYTES


def test_collections_of_different_models_or_dimensions_describe_themselves_differently() -> None:
    descriptions = {vector_index.describe(model, size) for model in ("a", "b") for size in (384, 1536)}

    assert len(descriptions) == 4
