"""`connection` of a target.yaml: where agents connect to, checked while the commit is; secrets stay names.

1. The schema has decided what may stand there; here is what a schema cannot say (GS0701 to GS0708).
2. An offer is complete or not made. A supervisor replaces all it knows of its server by what it is offered: without a
   certificate it stops verifying the server, without a heartbeat it sends none.
3. Secrets never stand in Git: `${secret:NAME}` names a file of the server's, read when the offer is made.

The result is plain JSON, kept with the target version and not part of its digest:
`{"opamp": {...}, "ownMetrics": {...}, "ownTraces": {...}, "ownLogs": {...}, "other": {name: {...}}}`, each with
`endpoint`, `headers`, `certificate` (null or cert, key, ca), and `heartbeat` in seconds or `settings`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gitsync.collector import document
from gitsync.collector.document import Entry, Node, Scalar
from gitsync.collector.findings import Findings
from gitsync.wording import quoted

OPAMP = "opamp"
TELEMETRY = ("ownMetrics", "ownTraces", "ownLogs")
OTHER = "other"
DEFAULT_HEARTBEAT = "30s"
MAX_HEARTBEAT_SECONDS = 3600
"""Longer than an hour nobody knows whether an agent lives."""

_SECRET = re.compile(r"\$\{secret:([^}]*)\}")
_SECRET_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_CREDENTIAL = re.compile(r"authorization|cookie|token|secret|password|api-?key|access-?key", re.IGNORECASE)
_URL = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<user>[^/?#@\s]*@)?(?P<host>[a-z0-9._-]+|\[[0-9a-f:.]+\])(?::(?P<port>\d{1,5}))?(?:[/?]\S*)?",
    re.IGNORECASE,
)
_UNITS = {"s": 1, "m": 60, "h": 3600}
_SECURE = ("wss", "https")


def is_secure(endpoint: str) -> bool:
    """Whether agents speak TLS to this endpoint."""
    return endpoint.partition(":")[0].lower() in _SECURE


def secret_names(connection: Mapping[str, Any]) -> frozenset[str]:
    """The secrets that the settings name."""
    return frozenset(name for text in _texts(connection) for name in _SECRET.findall(text))


def fill_in(text: str, secrets: Mapping[str, str]) -> str:
    """The text with its secrets in it.

    Raises:
        KeyError: one of them is not there.
    """
    return _SECRET.sub(lambda found: secrets[found[1]], text)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)


def read_connection(node: Node | None, findings: Findings) -> dict[str, Any] | None:
    """The settings in their stored form; None when there is no such key.

    An empty map is a word of its own: no settings, whatever the targets above say.
    """
    if not isinstance(node, document.Mapping):
        return None
    found: dict[str, Any] = {}
    for entry in node.entries:
        if entry.key == OTHER and isinstance(entry.value, document.Mapping):
            found[OTHER] = {one.key: _destination(one, findings, ()) for one in entry.value.entries}
        elif entry.key == OPAMP:
            found[OPAMP] = _opamp(entry, findings)
        elif entry.key in TELEMETRY:
            found[entry.key] = _destination(entry, findings, ("http", "https"))
    return found


def _opamp(entry: Entry, findings: Findings) -> dict[str, Any]:
    found = _destination(entry, findings, ("ws", "wss", "http", "https"))
    found["heartbeat"] = _heartbeat(entry.value, findings)
    if is_secure(found["endpoint"]) and found["certificate"] is None:
        message = f"{found['endpoint'].partition(':')[0]} needs a certificate: without one agents would stop verifying"
        findings.error(entry.key_origin, "GS0702", message, "add certificate with cert, key and ca")
    return found


def _heartbeat(node: Node, findings: Findings) -> int:
    value = node.get("heartbeat") if isinstance(node, document.Mapping) else None
    text = value.text if isinstance(value, Scalar) else DEFAULT_HEARTBEAT
    seconds = int(text[:-1]) * _UNITS[text[-1]]
    if not 0 < seconds <= MAX_HEARTBEAT_SECONDS:
        at = None if value is None else value.origin
        findings.error(at, "GS0706", f"a heartbeat of {text}: agents would not be heard", "1s to 1h")
    return seconds


def _destination(entry: Entry, findings: Findings, schemes: tuple[str, ...]) -> dict[str, Any]:
    """What every destination has; `schemes` empty: any text is an endpoint."""
    node = entry.value
    fields = {one.key: one.value for one in node.entries} if isinstance(node, document.Mapping) else {}
    endpoint = _text(fields.get("endpoint"))
    if schemes:
        _check_endpoint(endpoint, fields["endpoint"], schemes, findings)
    found: dict[str, Any] = {
        "endpoint": endpoint,
        "headers": _headers(fields.get("headers"), findings),
        "certificate": _certificate(fields.get("certificate"), findings),
    }
    if not schemes:
        _check_secrets(fields["endpoint"], findings)
        found["settings"] = {key: _text(one) for key, one in _pairs(fields.get("settings"))}
        for _, one in _pairs(fields.get("settings")):
            _check_secrets(one, findings)
    used = {"headers": found["headers"], "certificate": found["certificate"]}
    if schemes and secret_names(used) and not is_secure(endpoint) and not _is_local(endpoint):
        message = "credentials would travel unencrypted to this endpoint"
        hint = " or ".join(one for one in schemes if one in _SECURE)
        findings.warning(fields["endpoint"].origin, "GS0708", message, f"use {hint}")
    return found


def _check_endpoint(endpoint: str, node: Node, schemes: tuple[str, ...], findings: Findings) -> None:
    found = _URL.fullmatch(endpoint)
    if found is None or found["scheme"].lower() not in schemes or int(found["port"] or 1) not in range(1, 65_536):
        known = ", ".join(f"{one}://" for one in schemes)
        message = f"{quoted(endpoint)} is no address that agents can use"
        findings.error(node.origin, "GS0701", message, f"one of {known}")
    elif found["user"] or "${" in endpoint or not endpoint.isprintable():
        hint = "use headers, with ${secret:NAME}"
        findings.error(node.origin, "GS0701", "an endpoint cannot hold credentials or references", hint)


def _headers(node: Node | None, findings: Findings) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in _pairs(node):
        text = _text(value)
        if not _HEADER_NAME.fullmatch(name) or not text.isprintable() or text != text.strip():
            findings.error(value.origin, "GS0707", f"{quoted(name)} is no header that can be sent", "one line of text")
        elif name.lower() in (one.lower() for one in headers):
            findings.error(value.origin, "GS0707", f"the header {quoted(name)} stands here twice", "remove one")
        elif _CREDENTIAL.search(name) and "${secret:" not in text:
            message = f"the header {quoted(name)} looks like a credential, and everybody who reads Git can read it"
            findings.warning(value.origin, "GS0703", message, "write ${secret:NAME}")
        _check_secrets(value, findings)
        headers[name] = text
    return headers


def _certificate(node: Node | None, findings: Findings) -> dict[str, str] | None:
    if not isinstance(node, document.Mapping):
        return None
    for name, value in _pairs(node):
        _check_secrets(value, findings)
        if name == "key" and not _SECRET.fullmatch(_text(value)):
            message = "a private key cannot stand in Git"
            findings.error(value.origin, "GS0705", message, 'write "${secret:NAME}" and nothing else')
    return {name: _text(value) for name, value in _pairs(node)}


def _check_secrets(node: Node, findings: Findings) -> None:
    text = _text(node)
    wrong = [name for name in _SECRET.findall(text) if not _SECRET_NAME.fullmatch(name)]
    if wrong:
        hint = "letters, digits, dots, dashes and underscores; no path"
        findings.error(node.origin, "GS0704", f"{quoted(wrong[0])} cannot be the name of a secret", hint)
    elif "${" in _SECRET.sub("", text):
        findings.error(node.origin, "GS0704", "only ${secret:NAME} is filled in here", "the server has no other source")


def _is_local(endpoint: str) -> bool:
    found = _URL.fullmatch(endpoint)
    host = "" if found is None else found["host"].lower()
    return host == "localhost" or host.startswith("127.") or host == "[::1]"


def _pairs(node: Node | None) -> Iterator[tuple[str, Node]]:
    for entry in node.entries if isinstance(node, document.Mapping) else ():
        yield entry.key, entry.value


def _text(node: Node | None) -> str:
    return node.text if isinstance(node, Scalar) else ""
