"""Who may change something: API tokens.

A token is `gst_<12 characters>_<43 characters>`: a public id and 256 random bits. The server keeps its
SHA-256, nothing else; such a token cannot be guessed, so a slow hash would only make checking expensive.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import string
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gitsync.errors import SettingsError
from gitsync.server.api.problem import UnauthorizedError
from gitsync.server.private_file import create_private, read_private

ADMIN_TOKEN_FILE = "admin.token"  # noqa: S105  # a file name
_ID_ALPHABET = string.ascii_lowercase + string.digits
_TOKEN = re.compile(r"gst_(?P<id>[a-z0-9]{12})_[A-Za-z0-9_-]{43}", re.ASCII)
HINT = "give a token as `Authorization: Bearer gst_…`; the first start wrote one to admin.token in the data directory"


@dataclass(frozen=True, slots=True)
class TokenRecord:
    """What is kept of one token.

    Attributes:
        id: the public part.
        digest: SHA-256 of the whole token.
    """

    id: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class Identity:
    """Who called.

    Attributes:
        actor: as the audit log names it, `token:<id>`.
    """

    actor: str


class Auth:
    """The tokens that are accepted."""

    def __init__(self, tokens: Iterable[TokenRecord]) -> None:
        self._tokens = {one.id: one for one in tokens}

    def check(self, authorization: str | None) -> Identity:
        """Who sent this `Authorization` header.

        Raises:
            UnauthorizedError: `auth.missing` or `auth.invalid`. The text never repeats what was sent.
        """
        if not authorization:
            raise UnauthorizedError("this call needs a token", code="auth.missing", hint=HINT)
        scheme, _, token = authorization.partition(" ")
        found = _TOKEN.fullmatch(token.strip())
        if scheme.lower() != "bearer" or found is None:
            raise UnauthorizedError("the credential is not a gitsync token", code="auth.invalid", hint=HINT)
        record = self._tokens.get(found["id"])
        # An unknown id is compared with something, too: the time does not tell which ids exist.
        expected = bytes(32) if record is None else record.digest
        if not hmac.compare_digest(_digest(found[0]), expected) or record is None:
            raise UnauthorizedError("the token is not known", code="auth.invalid", hint=HINT)
        return Identity(f"token:{record.id}")


def make_token() -> str:
    """A new token."""
    name = "".join(secrets.choice(_ID_ALPHABET) for _ in range(12))
    return f"gst_{name}_{secrets.token_urlsafe(32)}"


def record_of(token: str) -> TokenRecord:
    """What is kept of a token.

    Raises:
        ValueError: it has not the form of one.
    """
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise ValueError("not a gitsync token: gst_<12 characters>_<43 characters>")
    return TokenRecord(found["id"], _digest(token))


def load_or_create_admin_token(directory: Path) -> tuple[Auth, Path, bool]:
    """The tokens of this server: so far the one in `admin.token`, made at the first start (mode 0600).

    Returns:
        The tokens, the path of the file, and whether it was made just now.

    Raises:
        SettingsError: the file cannot be made or read, others may read it, or it holds no token
            (`auth.token_file`).
    """
    path = directory / ADMIN_TOKEN_FILE
    created = False
    body = read_private(path)
    if body is None:
        created = create_private(path, make_token().encode() + b"\n")
        body = read_private(path) or b""
    try:
        record = record_of(body.decode("ascii", errors="replace").strip())
    except ValueError as error:
        hint = "delete the file; the next start makes a new one"
        raise SettingsError(f"{path}: {error}", code="auth.token_file", hint=hint) from error
    return Auth([record]), path, created


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
