"""Addresses and URLs as Go's standard library reads them; the parts, or why it refuses."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gitsync.wording import quoted

_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*:")
_BAD_ESCAPE = re.compile(r"%(?![0-9a-fA-F]{2})")
_ASCII_ESCAPE = re.compile(r"%(?!25)[0-7][0-9a-fA-F]")
_USER = re.compile(r"[a-zA-Z0-9._~!$&'()*+,;=%@:-]*")
_HOST = re.compile(r"""[a-zA-Z0-9._~!$&'()*+,;=:\[\]<>"%\u0080-\U0010ffff-]*""")
_PORT = re.compile(r"(?::[0-9]*)?")


@dataclass(frozen=True, slots=True)
class Url:
    """The parts of a URL that rules look at; all may be empty.

    Attributes:
        host: with its port.
        opaque: what follows the scheme when no slash does (`localhost:4318` has the scheme `localhost`).
    """

    scheme: str = ""
    host: str = ""
    path: str = ""
    query: str = ""
    opaque: str = ""

    @property
    def hostname(self) -> str:
        """The host without port and brackets."""
        bare = self.host.removeprefix("[").partition("]")[0] if self.host.startswith("[") else self.host
        return bare if self.host.startswith("[") else bare.rpartition(":")[0] if ":" in bare else bare

    @property
    def port(self) -> str:
        """The port of the host; empty when there is none."""
        rest = self.host.rpartition("]")[2]
        return rest.rpartition(":")[2] if ":" in rest else ""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a text is no address or URL: the end of a sentence, without a full stop."""

    why: str


def split_host_port(text: str) -> tuple[str, str] | Refusal:
    """Host and port of `host:port` or `[v6]:port`; both may be empty (net/ipsock.go `SplitHostPort`)."""
    colon = text.rfind(":")
    if colon < 0:
        return Refusal("it has no port")
    if text.startswith("["):
        end = text.find("]")
        if end < 0:
            return Refusal('a "]" is missing')
        if end + 1 == len(text):
            return Refusal("it has no port")
        if end + 1 != colon:
            return Refusal("it has too many colons" if text[end + 1] == ":" else "it has no port")
        host, rest, tail = text[1:end], text[1:], text[end + 1 :]
    else:
        host, rest, tail = text[:colon], text, text
        if ":" in host:
            return Refusal("it has too many colons; an IPv6 address needs brackets")
    if "[" in rest:
        return Refusal('there is an unexpected "["')
    if "]" in tail:
        return Refusal('there is an unexpected "]"')
    return host, text[colon + 1 :]


def parse_url(text: str, *, request: bool = False) -> Url | Refusal:
    """The parts of a URL (net/url/url.go `Parse`; with `request`, `ParseRequestURI`)."""
    rest, _, fragment = (text, "", "") if request else text.partition("#")
    if any(char < " " or char == "\x7f" for char in rest):
        return Refusal("it has a control character")
    if request and not rest:
        return Refusal("it is empty")
    if rest.startswith(":"):
        return Refusal("the scheme is missing")
    match = _SCHEME.match(rest)
    scheme = match[0][:-1].lower() if match else ""
    rest = rest[match.end() :] if match else rest
    rest, _, query = rest.partition("?")
    if not rest.startswith("/"):
        if scheme:
            return Url(scheme, query=query, opaque=rest)
        if request:
            return Refusal("it has neither a scheme nor a leading slash")
        if ":" in rest.partition("/")[0]:
            return Refusal("its first part has a colon, but is no scheme")
    host = ""
    if rest.startswith("//") and (scheme or not (request or rest.startswith("///"))):
        authority, slash, path = rest[2:].partition("/")
        refused = _check_authority(authority)
        if refused is not None:
            return refused
        host, rest = authority.rpartition("@")[2], slash + path
    if _BAD_ESCAPE.search(rest) or _BAD_ESCAPE.search(fragment):
        return Refusal('it has a "%" that is not followed by two hexadecimal digits')
    return Url(scheme, host, rest, query)


def _check_authority(authority: str) -> Refusal | None:
    user, at, host = authority.rpartition("@")
    if at and (not _USER.fullmatch(user) or _BAD_ESCAPE.search(user)):
        return Refusal("its user name or password needs escapes")
    bracket = host.rfind("]")
    if host.startswith("["):
        if bracket < 0:
            return Refusal('a "]" is missing in the host')
        port = host[bracket + 1 :]
    else:
        port = host[host.rfind(":") :] if ":" in host else ""
    if not _PORT.fullmatch(port):
        return Refusal(f"the port {quoted(port)} is no number")
    if _BAD_ESCAPE.search(host) or _ASCII_ESCAPE.search(host):
        return Refusal("the host has a wrong escape")
    if not _HOST.fullmatch(host):
        return Refusal("the host has a character that is not allowed")
    return None
