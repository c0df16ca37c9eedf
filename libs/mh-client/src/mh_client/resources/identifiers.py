"""Identifiers in texts, such as names: what the platform would hide of a text before it sends it to a server."""

from mh_common.models import IdentifiersPreview, IdentifiersPreviewRequest

from mh_client._base import Call, validated
from mh_client.resources._binding import AsyncResource, Resource, async_method, sync_method


def preview(text: str) -> Call[IdentifiersPreview]:
    """Return the text (1 to 100,000 characters) with pseudonyms, and where identifiers were recognised.

    Nothing is sent on or stored. This is not de-identification: what is not recognised stays in the text.
    """
    request = validated(IdentifiersPreviewRequest, {"text": text})
    return Call(
        method="POST",
        path="/api/v1/identifiers/preview",
        content=request.model_dump_json().encode(),
        parse=IdentifiersPreview.model_validate_json,
    )


class Identifiers(Resource):
    """`client.identifiers`."""

    preview = sync_method(preview)


class AsyncIdentifiers(AsyncResource):
    """`client.identifiers` of `AsyncClient`."""

    preview = async_method(preview)
