"""Entity tags, as RFC 9110 writes them."""

import contextlib

import pytest
from conversations_api.conversations.etags import is_unmodified, require_version
from hypothesis import given
from hypothesis import strategies as st
from mh_common.errors import InvalidRequestError, VersionConflictError

OPAQUE = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E, exclude_characters='"'), max_size=12)


def test_without_a_header_there_is_no_condition() -> None:
    require_version(None, 3)
    assert not is_unmodified(None, '"3-indexed"')


@given(others=st.lists(st.tuples(st.sampled_from(["", "W/"]), OPAQUE), max_size=5), position=st.integers(0, 5))
def test_a_tag_is_found_anywhere_in_a_list(others: list[tuple[str, str]], position: int) -> None:
    tags = [f'{weak}"{opaque}"' for weak, opaque in others]
    tags.insert(position, '"3-indexed"')
    for separator in (",", ", ", " ,\t", ",,"):
        require_version([separator.join(tags)], 3)
        assert is_unmodified([separator.join(tags)], '"3-indexed"')


@given(tags=st.lists(OPAQUE.filter(lambda opaque: not opaque.startswith("3")), min_size=1, max_size=5))
def test_other_tags_do_not_match(tags: list[str]) -> None:
    header = [", ".join(f'"{opaque}"' for opaque in tags)]
    with pytest.raises(VersionConflictError):
        require_version(header, 3)
    assert not is_unmodified(header, '"3-indexed"')


@pytest.mark.parametrize("tag", ['"3"', '"3-pending"', '"3-indexed-acute"'])
def test_a_change_is_refused_for_another_version_only(tag: str) -> None:
    require_version([tag], 3)
    with pytest.raises(VersionConflictError):
        require_version([tag], 4)


@given(header=st.text(max_size=30))
def test_any_header_is_parsed_or_rejected(header: str) -> None:
    with contextlib.suppress(InvalidRequestError, VersionConflictError):
        require_version([header], 3)


def test_a_rejected_header_is_named() -> None:
    with pytest.raises(InvalidRequestError) as raised:
        require_version(["3"], 3)
    assert [problem.field for problem in raised.value.members["errors"]] == ["If-Match"]
