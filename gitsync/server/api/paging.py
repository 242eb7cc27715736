"""Lists in pages: a `next` URL in the body and in the `Link` header, until there is no more."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query, Request, Response

Limit = Annotated[int, Query(ge=1, le=1000, description="how many at most")]


def link_next(request: Request, response: Response, **cursor: str | int) -> str:
    """The path and query of the page after this one; also puts it into the `Link` header.

    Args:
        request: the call for this page.
        response: gets the header.
        cursor: query parameters that differ from this call's.
    """
    url = request.url.include_query_params(**cursor)
    text = f"{url.path}?{url.query}"
    response.headers["Link"] = f'<{text}>; rel="next"'
    return text
