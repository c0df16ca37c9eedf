"""What answers and searches on the platform."""

from mh_common.models import About

from mh_client._base import Call


def about() -> Call[About]:
    """Return the platform's version and models, and the hosts that questions and conversations are sent to."""
    return Call(method="GET", path="/api/v1/about", parse=About.model_validate_json)
