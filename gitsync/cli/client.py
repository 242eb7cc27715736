"""`Client`: calls to a gitsync server, with its errors as ours."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import httpx

from gitsync.cli.failure import TimedOutError
from gitsync.cli.token import find_token
from gitsync.errors import Conflict, GitsyncError, SettingsError, Unavailable

PREFIX = "/api/v1"
TIMEOUT = timedelta(seconds=30)
Json = dict[str, Any]


class Client:
    """One server, for one command. A context manager."""

    def __init__(self, server: str, data_directory: Path | None = None) -> None:
        """Prepares the calls; nothing is sent yet.

        Raises:
            SettingsError: `server.url`: the URL of the server cannot be one.
        """
        try:
            parts = urlsplit(server)
            host, usable = parts.hostname, parts.scheme in ("http", "https") and parts.port != 0
        except ValueError:
            host, usable = None, False
        if not host or not usable:
            raise SettingsError(
                f"{server!r} is no URL of a server", code="server.url", hint="write http://HOST:PORT or https://HOST"
            )
        self.server = server.rstrip("/")
        self._data_directory = data_directory
        self._local = _is_local(host)
        # A proxy of the environment is no way to this machine itself.
        self._http = httpx.Client(base_url=self.server, timeout=TIMEOUT.total_seconds(), trust_env=not self._local)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **parameters: str | int | bool | None) -> Json:
        """A document under the versioned prefix; parameters that are None are left out.

        Raises:
            GitsyncError: the server cannot be reached, or answered with a problem.
        """
        return self._call("GET", path, parameters, TIMEOUT)

    def items(self, path: str, limit: int | None = None, **parameters: str | int | bool | None) -> Json:
        """A list document with the items of all its pages, or of the first `limit`."""
        document = self.get(path, limit=min(limit or 1000, 1000), **parameters)
        while document.get("next") and (limit is None or len(document["items"]) < limit):
            page = self._send("GET", document["next"], {}, TIMEOUT)
            document["items"] += page["items"]
            document["next"] = page["next"]
        if limit is not None:
            del document["items"][limit:]
        return document

    def post(self, path: str, *, timeout: timedelta = TIMEOUT, **parameters: str | int | bool | None) -> Json:
        """Like `get`, for a call that changes something: sends the token.

        Raises:
            TimedOutError: no answer in time.
        """
        return self._call("POST", path, parameters, timeout)

    def _call(
        self, method: str, path: str, parameters: Mapping[str, str | int | bool | None], timeout: timedelta
    ) -> Json:
        given = {key: value for key, value in parameters.items() if value is not None}
        return self._send(method, PREFIX + path, given, timeout)

    def _send(self, method: str, path: str, parameters: Mapping[str, str | int | bool], timeout: timedelta) -> Json:
        headers = {} if method == "GET" else self._credentials()
        try:
            answer = self._http.request(
                method, path, params=parameters or None, headers=headers, timeout=timeout.total_seconds()
            )
        except (httpx.ReadTimeout, httpx.WriteTimeout, httpx.PoolTimeout) as error:
            waited = f"{timeout.total_seconds():g} s"
            raise TimedOutError(f"{self.server} did not answer within {waited}", code="server.timeout") from error
        except httpx.HTTPError as error:
            raise Unavailable(
                f"cannot reach {self.server}: {_reason(error)}",
                code="server.unreachable",
                hint="is `gitsync serve` running there? Name the server with --server or GITSYNC_SERVER",
            ) from error
        return self._read(answer)

    def _credentials(self) -> dict[str, str]:
        token = find_token(self._data_directory, local=self._local, environment=os.environ)
        return {"Authorization": f"Bearer {token}"} if token else {}

    def _read(self, answer: httpx.Response) -> Json:
        try:
            body = answer.json()
        except ValueError:
            body = None
        if answer.is_success and isinstance(body, dict):
            return body
        if not isinstance(body, dict) or "code" not in body:
            raise GitsyncError(
                f"{self.server} answered {answer.status_code} and not as a gitsync server does",
                code="server.unexpected",
                hint="is it the address of the HTTP listener (port 8080), not of the agents' one (4320)?",
            )
        hint = str(body.get("hint", ""))
        if answer.status_code == httpx.codes.UNAUTHORIZED:
            hint = "set GITSYNC_TOKEN or GITSYNC_TOKEN_FILE, or give --data-dir with the server's admin.token"
        family = Conflict if answer.status_code == httpx.codes.CONFLICT else GitsyncError
        raise family(str(body.get("detail", "")) or answer.reason_phrase, code=str(body["code"]), hint=hint)


def path_of(text: str) -> str:
    """Text as a part of a URL's path; slashes stay."""
    return quote(text, safe="/")


def _is_local(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _reason(error: httpx.HTTPError) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return str(error) or type(error).__name__
