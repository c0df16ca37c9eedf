"""Examples in the OpenAPI document."""

from typing import Any, Final

EXAMPLE: Final[dict[str, Any]] = {
    "risk": {"level": "none", "categories": [], "spans": [], "screened": True},
    "risk_notice": None,
    "answer_id": "5b0f7c1e-6a55-4f0e-9c83-0d6f1f3b7a52",
    "answer": "Practise slow breathing at home first, then on short rides [1]. Plan the ride together [2].",
    "sources": [
        {
            "id": 17,
            "question": "I get panic attacks on the bus and now I walk everywhere. What can I do?",
            "answer": "Practise slow breathing at home, then on a ride of one stop. Add a stop each week.",
            "score": 0.781204,
            "relevance": 0.952133,
        },
        {
            "id": 230,
            "question": "Crowded trains make my heart race.",
            "answer": "Plan a ride at a quiet hour with somebody you trust.",
            "score": 0.102115,
            "relevance": 0.774102,
        },
    ],
    "standalone_query": "How do I help a patient who panics on the bus?",
    "query_origin": "question",
    "index_rebuilding": False,
    "notice": "A suggestion for a professional …",
    "usage": {"prompt_tokens": 612, "completion_tokens": 48, "total_tokens": 660},
    "latency_ms": {"condense": 0.0, "search": 21.4, "generate": 1893.2, "check": 84.5, "total": 1999.5},
    "model": "gpt-4o-mini",
    "grounded": True,
    "uncited_sentences": [],
    "checked_sentences": [
        {
            "text": "Practise slow breathing at home first, then on short rides [1].",
            "support": "supported",
            "cites": [1],
            "supported_by": [1],
            "doubt": None,
        },
        {
            "text": "Plan the ride together [2].",
            "support": "unsupported",
            "cites": [2],
            "supported_by": [],
            "doubt": "unlike",
        },
    ],
    "question_language": "en",
    "answer_language": "en",
    "prompt_version": "2",
    "template_hash": "3f1c…",
    "cut_short": False,
    "withheld": None,
    "left_out": [],
    "answer_risk": {"level": "none", "categories": [], "spans": [], "screened": True},
}

STREAM_EXAMPLE: Final = """event: risk
data: {"risk": {"level": "none", …}, "risk_notice": null}

event: sources
data: {"answer_id": "5b0f7c1e-6a55-4f0e-9c83-0d6f1f3b7a52", "sources": […], "standalone_query": "…", …}

event: token
data: {"text": "Practise slow breathing"}

event: token
data: {"text": " at home first [1]."}

event: usage
data: {"usage": {"total_tokens": 660, …}, "latency_ms": {"total": 1999.5, …}}

event: done
data: {"model": "gpt-4o-mini", "grounded": true, "checked_sentences": […], "prompt_version": "2", …}

"""
