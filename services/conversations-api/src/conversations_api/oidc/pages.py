"""The page that a browser shows to whoever could not be signed in."""

from html import escape
from typing import Final

from fastapi import Request, Response
from fastapi.responses import HTMLResponse
from mh_common.errors import DomainError
from mh_common.web.problems import problem_of

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Not signed in</title>
</head>
<body>
<h1>You are not signed in</h1>
<p>{message}</p>
<p><a href="/">Back to the platform</a></p>
</body>
</html>
"""
HEADERS: Final = {
    "Cache-Control": "no-store",
    # The address has a code and a state, which are nobody else's business even after their use.
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
}


def refusal(request: Request, error: DomainError) -> Response:
    """Return a page that says why, with the status of the error. Raises the error if the caller is no browser."""
    if "text/html" not in request.headers.get("Accept", ""):
        raise error
    problem, headers = problem_of(request, error)
    return HTMLResponse(_PAGE.format(message=escape(problem.detail or "")), problem.status, {**HEADERS, **headers})
