"""`Statement`: what is signed about one payload of one target version, and the strict reading of it.

The JSON has `v: 1` and exactly these members (others must begin with `x-`): `source revision kind commit path version
slot selector except aliases assumed buckets config_hash objects issued expires`. Reading does not mean trusting: only
`verify` says that a statement holds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any

from gitsync.bundle.dsse import MAX_ENVELOPE_BYTES, Envelope
from gitsync.bundle.strict_json import parse_strict_json
from gitsync.bundle.version import canonical_json
from gitsync.errors import TrustError
from gitsync.labels import Selector, resolve
from gitsync.rollout.cohort import VARIANT_BUCKETS

PAYLOAD_TYPE = "application/vnd.gitsync.statement.v1+json"
KINDS = frozenset({"publish", "back", "pin", "unpin", "resign", "rotate"})
_MAX_REVISION = (1 << 63) - 1
_MAX_TEXT = 4096
_MAX_ITEMS = 10_000
_COMMIT_ID = re.compile(r"[0-9a-f]{40}([0-9a-f]{24})?")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_HEX = re.compile(r"[0-9a-f]{64}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", re.ASCII)


@dataclass(frozen=True, slots=True)
class StatedCommit:
    """The commit where the stated version first appeared."""

    id: str
    tree: str
    author: str
    time: datetime
    subject: str


@dataclass(frozen=True, slots=True)
class StatedObject:
    """One object of the payload; `sha256` is hex."""

    name: str
    content_type: str
    role: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Statement:
    """Who may run what, from which commit, until when.

    Attributes:
        version, config_hash: `sha256:<hex>`.
        slot: `-` or canonical JSON.
        selector: must match the agent's own labels; None: the default target.
        excepts: none of these may match.
        aliases: stand-in keys for label names in `selector` and `excepts`.
        assumed: label keys that only the server knows; what is said about them cannot be checked.
        buckets: variant buckets from (included) to (excluded); None: all.
        issued, expires: aware, UTC, whole seconds.
    """

    source: str
    revision: int
    kind: str
    commit: StatedCommit
    path: str
    version: str
    slot: str
    selector: Selector | None
    excepts: tuple[Selector, ...]
    aliases: Mapping[str, tuple[str, ...]]
    assumed: tuple[str, ...]
    buckets: tuple[int, int] | None
    config_hash: str
    objects: tuple[StatedObject, ...]
    issued: datetime
    expires: datetime

    def as_json(self) -> bytes:
        """The bytes that are signed: canonical JSON."""
        return canonical_json(
            {
                "v": 1,
                "source": self.source,
                "revision": self.revision,
                "kind": self.kind,
                "commit": {
                    "id": self.commit.id,
                    "tree": self.commit.tree,
                    "author": self.commit.author,
                    "time": show_instant(self.commit.time),
                    "subject": self.commit.subject,
                },
                "path": self.path,
                "version": self.version,
                "slot": self.slot,
                "selector": None if self.selector is None else self.selector.as_json(),
                "except": [one.as_json() for one in self.excepts],
                "aliases": {name: list(keys) for name, keys in self.aliases.items()},
                "assumed": list(self.assumed),
                "buckets": None if self.buckets is None else list(self.buckets),
                "config_hash": self.config_hash,
                "objects": [
                    {
                        "name": one.name,
                        "content_type": one.content_type,
                        "role": one.role,
                        "size": one.size,
                        "sha256": one.sha256,
                    }
                    for one in self.objects
                ],
                "issued": show_instant(self.issued),
                "expires": show_instant(self.expires),
            }
        )

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether the selector matches these labels, as far as the agent can know (see `assumed`)."""
        return self.selector is None or self._known(self.selector).matches(resolve(labels, self.aliases))

    def excludes(self, labels: Mapping[str, str]) -> Selector | None:
        """The first exception that these labels meet; None when the statement is for them.

        An exception about a key that only the server knows cannot be judged and does not count.
        """
        resolved = resolve(labels, self.aliases)
        for one in self.excepts:
            if one.keys().isdisjoint(self.assumed) and one.matches(resolved):
                return one
        return None

    def _known(self, selector: Selector) -> Selector:
        return Selector.of(one for one in selector.requirements if one.key not in self.assumed)


def show_instant(at: datetime) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_statement(envelope: Envelope) -> Statement:
    """What an envelope claims. Its signatures are not looked at.

    Raises:
        TrustError: `trust.payload_type`: the envelope holds something else. `trust.statement`: it is no statement.
    """
    if envelope.payload_type != PAYLOAD_TYPE:
        raise TrustError("the envelope holds no gitsync statement", code="trust.payload_type")
    try:
        return _statement_from(parse_strict_json(envelope.payload, max_bytes=MAX_ENVELOPE_BYTES))
    except ValueError as error:
        raise TrustError(f"the statement cannot be read: {error}", code="trust.statement") from None


def _statement_from(data: Any) -> Statement:
    body = _Object(data, "statement")
    if body.whole("v", 1, _MAX_REVISION) != 1:
        raise ValueError("its version is not 1")
    statement = Statement(
        source=body.text("source"),
        revision=body.whole("revision", 0, _MAX_REVISION),
        kind=body.one_of("kind", KINDS),
        commit=_commit_from(body.take("commit")),
        path=body.text("path"),
        version=body.matching("version", _DIGEST),
        slot=body.text("slot"),
        selector=_selector_or_none(body.take("selector")),
        excepts=tuple(_selector_from(one) for one in body.items("except")),
        aliases=_aliases_from(body.take("aliases")),
        assumed=tuple(_text(one, "assumed") for one in body.items("assumed")),
        buckets=_buckets_from(body.take("buckets")),
        config_hash=body.matching("config_hash", _DIGEST),
        objects=tuple(_object_from(one) for one in body.items("objects")),
        issued=body.instant("issued"),
        expires=body.instant("expires"),
    )
    body.done(extensible=True)
    names = [one.name.encode() for one in statement.objects]
    if not names or names != sorted(set(names)):
        raise ValueError("objects are missing, repeated or not in order")
    if statement.expires <= statement.issued:
        raise ValueError("it expires before it is issued")
    return statement


def _commit_from(data: Any) -> StatedCommit:
    body = _Object(data, "commit")
    commit = StatedCommit(
        id=body.matching("id", _COMMIT_ID),
        tree=body.matching("tree", _COMMIT_ID),
        author=body.text("author", empty=True),
        time=body.instant("time"),
        subject=body.text("subject", empty=True),
    )
    body.done()
    return commit


def _object_from(data: Any) -> StatedObject:
    body = _Object(data, "object")
    stated = StatedObject(
        name=body.text("name", empty=True),
        content_type=body.text("content_type", empty=True),
        role=body.text("role", empty=True),
        size=body.whole("size", 0, _MAX_REVISION),
        sha256=body.matching("sha256", _HEX),
    )
    body.done()
    return stated


def _selector_or_none(data: Any) -> Selector | None:
    return None if data is None else _selector_from(data)


def _selector_from(data: Any) -> Selector:
    body = _Object(data, "selector")
    labels = body.take("matchLabels")
    if not isinstance(labels, dict):
        raise ValueError("matchLabels is no object")  # noqa: TRY004
    for key, value in labels.items():
        _text(key, "label key")
        _text(value, "label value", empty=True)
    expressions = [_expression_from(one) for one in body.items("matchExpressions")]
    body.done()
    selector = Selector.from_json({"matchLabels": labels, "matchExpressions": expressions})
    if len(selector.requirements) != len(labels) + len(expressions):
        raise ValueError("a selector repeats itself")
    return selector


def _expression_from(data: Any) -> dict[str, Any]:
    body = _Object(data, "matchExpressions")
    expression: dict[str, Any] = {"key": body.text("key"), "operator": body.text("operator")}
    if isinstance(data, dict) and "values" in data:
        expression["values"] = [_text(one, "label value", empty=True) for one in body.items("values")]
    body.done()
    return expression


def _aliases_from(data: Any) -> Mapping[str, tuple[str, ...]]:
    if not isinstance(data, dict):
        raise ValueError("aliases is no object")  # noqa: TRY004
    aliases = {}
    for name, keys in data.items():
        if not isinstance(keys, list) or len(keys) > _MAX_ITEMS:
            raise ValueError("an alias is no list")
        aliases[_text(name, "alias")] = tuple(_text(key, "alias") for key in keys)
    return MappingProxyType(aliases)


def _buckets_from(data: Any) -> tuple[int, int] | None:
    if data is None:
        return None
    if not isinstance(data, list) or len(data) != 2 or not all(type(one) is int for one in data):
        raise ValueError("buckets are no two numbers")
    low, high = data
    if not 0 <= low < high <= VARIANT_BUCKETS:
        raise ValueError("buckets are out of range")
    return low, high


def _text(value: Any, name: str, *, empty: bool = False) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT or not (value or empty):
        raise ValueError(f"{name} is no text")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name} is no text") from None
    return value


class _Object:
    """Takes the members of a JSON object one by one; what is left over at the end is an error."""

    def __init__(self, data: Any, name: str) -> None:
        if not isinstance(data, dict):
            raise ValueError(f"{name} is no object")  # noqa: TRY004
        self._left = dict(data)
        self._name = name

    def take(self, member: str) -> Any:
        if member not in self._left:
            raise ValueError(f"{self._name} has no {member}")
        return self._left.pop(member)

    def text(self, member: str, *, empty: bool = False) -> str:
        return _text(self.take(member), member, empty=empty)

    def matching(self, member: str, pattern: re.Pattern[str]) -> str:
        value = self.text(member)
        if pattern.fullmatch(value) is None:
            raise ValueError(f"{member} has the wrong form")
        return value

    def one_of(self, member: str, known: frozenset[str]) -> str:
        value = self.text(member)
        if value not in known:
            raise ValueError(f"{member} is unknown")
        return value

    def whole(self, member: str, low: int, high: int) -> int:
        value = self.take(member)
        if type(value) is not int or not low <= value <= high:
            raise ValueError(f"{member} is no number in range")
        return value

    def items(self, member: str) -> list[Any]:
        value = self.take(member)
        if not isinstance(value, list) or len(value) > _MAX_ITEMS:
            raise ValueError(f"{member} is no list of at most {_MAX_ITEMS}")
        return value

    def instant(self, member: str) -> datetime:
        return datetime.strptime(self.matching(member, _INSTANT), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)

    def done(self, *, extensible: bool = False) -> None:
        unknown = [name for name in self._left if not (extensible and name.startswith("x-"))]
        if unknown:
            raise ValueError(f"{self._name} has {len(unknown)} unknown members")
