"""Content negotiation by the Accept header (RFC 9110, 12.5.1)."""

from collections.abc import Sequence

from fastapi import HTTPException, Request


def negotiate_media_type(request: Request, offered: Sequence[str]) -> str:
    """Return the media type to respond with: by highest quality, then by most specific range, then by order.

    Raises:
        HTTPException: 406; the request accepts none of them.
    """
    header = ",".join(request.headers.getlist("Accept")).strip() or "*/*"
    ranges = [_range(part) for part in header.lower().split(",") if part.strip()]
    weights = {media_type: _weight(media_type, ranges) for media_type in offered}
    best = max(offered, key=weights.__getitem__)
    if weights[best][0] <= 0:
        raise HTTPException(406, f"This path returns {' or '.join(offered)}; accept one of them in the Accept header.")
    return best


def _range(part: str) -> tuple[str, float]:
    media_range, *parameters = (piece.strip() for piece in part.split(";"))
    quality = next((one[2:] for one in parameters if one.startswith("q=")), "1")
    try:
        return media_range, float(quality)
    except ValueError:
        return media_range, 0.0


def _weight(media_type: str, ranges: Sequence[tuple[str, float]]) -> tuple[float, int]:
    """Return quality and specificity; of several matching ranges the most specific one counts."""
    patterns = (media_type, f"{media_type.partition('/')[0]}/*", "*/*")
    for exactness, pattern in zip((2, 1, 0), patterns, strict=True):
        qualities = [quality for media_range, quality in ranges if media_range == pattern]
        if qualities:
            return max(qualities), exactness
    return 0.0, 0
