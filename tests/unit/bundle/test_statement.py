"""The strict reading of statements."""

import json
from datetime import timedelta
from typing import Any

import pytest

from gitsync.bundle.statement import PAYLOAD_TYPE, Envelope, read_statement
from gitsync.errors import TrustError
from gitsync.labels import Selector, parse_selector
from tests.support.signing import ISSUED, STATEMENT, a_statement


def read(body: bytes | dict[str, Any]) -> object:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_statement(Envelope(PAYLOAD_TYPE, raw, ()))


def members() -> dict[str, Any]:
    body: dict[str, Any] = json.loads(STATEMENT.as_json())
    return body


def test_the_bytes_are_a_promise() -> None:
    assert STATEMENT.as_json().decode() == (
        '{"aliases":{"env":["deployment.environment"]},"assumed":[],"buckets":null,'
        '"commit":{"author":"Ada <ada@example.com>","id":"' + "a" * 40 + '","subject":"a subject",'
        '"time":"2026-01-10T00:00:00Z","tree":"' + "b" * 40 + '"},'
        '"config_hash":"sha256:6d8df7dd05de192ad7cb1b1719c43fbf28a8a80f55e368e599f05bd67ab55cb2",'
        '"except":[{"matchExpressions":[],"matchLabels":{"env":"prod","region":"eu"}}],'
        '"expires":"2026-01-24T00:00:00Z","issued":"2026-01-10T00:00:00Z","kind":"publish",'
        '"objects":[{"content_type":"text/yaml","name":"collector.yaml","role":"",'
        '"sha256":"6d8df7dd05de192ad7cb1b1719c43fbf28a8a80f55e368e599f05bd67ab55cb2","size":11}],'
        '"path":"agents/env=prod","revision":100,'
        '"selector":{"matchExpressions":[],"matchLabels":{"env":"prod"}},'
        '"slot":"-","source":"default","v":1,"version":"sha256:' + "c" * 64 + '"}'
    )


@pytest.mark.parametrize(
    "statement",
    [
        STATEMENT,
        a_statement(selector=None, excepts=(), aliases={}),
        a_statement(selector=parse_selector("a in (x,y),b notin (z),c,!d,e=")),
        a_statement(buckets=(0, 25), assumed=("team",), kind="resign"),
    ],
)
def test_a_statement_is_read_back_as_it_was(statement: object) -> None:
    assert read(statement.as_json()) == statement  # type: ignore[attr-defined]


def test_extensions_may_only_begin_with_x() -> None:
    assert read(members() | {"x-note": {"any": [1]}}) == STATEMENT


WRONG: dict[str, dict[str, Any]] = {
    "unknown member": {"note": 1},
    "version": {"v": 2},
    "version is true": {"v": True},
    "revision as text": {"revision": "100"},
    "revision negative": {"revision": -1},
    "revision beyond 64 bits": {"revision": 1 << 63},
    "kind": {"kind": "rollback"},
    "commit": {"commit": None},
    "commit with more": {"commit": members()["commit"] | {"x-a": 1}},
    "commit id": {"commit": members()["commit"] | {"id": "A" * 40}},
    "commit time": {"commit": members()["commit"] | {"time": "2026-01-10"}},
    "path": {"path": ""},
    "digest": {"version": "c" * 64},
    "config hash": {"config_hash": "sha256:" + "C" * 64},
    "selector": {"selector": []},
    "selector without a part": {"selector": {"matchLabels": {}}},
    "selector with more": {"selector": {"matchLabels": {}, "matchExpressions": [], "x-a": 1}},
    "label value": {"selector": {"matchLabels": {"a": 1}, "matchExpressions": []}},
    "operator": {
        "selector": {"matchLabels": {}, "matchExpressions": [{"key": "a", "operator": "Gt", "values": ["1"]}]}
    },
    "values": {"selector": {"matchLabels": {}, "matchExpressions": [{"key": "a", "operator": "In"}]}},
    "repeated": {
        "selector": {
            "matchLabels": {"a": "b"},
            "matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}],
        }
    },
    "except": {"except": None},
    "aliases": {"aliases": []},
    "alias": {"aliases": {"env": "x"}},
    "assumed": {"assumed": [1]},
    "buckets": {"buckets": [5, 5]},
    "buckets out of range": {"buckets": [0, 101]},
    "buckets as truth": {"buckets": [False, True]},
    "objects": {"objects": []},
    "objects repeated": {"objects": members()["objects"] * 2},
    "object size": {"objects": [members()["objects"][0] | {"size": -1}]},
    "object digest": {"objects": [members()["objects"][0] | {"sha256": "x"}]},
    "instant": {"issued": "2026-01-10T00:00:00+00:00"},
    "no such day": {"issued": "2026-02-30T00:00:00Z"},
    "arabic digits": {"issued": "٢٠٢٦-01-10T00:00:00Z"},
    "expires first": {"expires": "2026-01-10T00:00:00Z"},
    "a lone surrogate": {"slot": "\ud800"},
    "far too long": {"slot": "x" * 5000},
}


@pytest.mark.parametrize("name", WRONG)
def test_a_statement_with_a_fault_is_refused(name: str) -> None:
    with pytest.raises(TrustError) as refusal:
        read(members() | WRONG[name])
    assert refusal.value.code == "trust.statement"


@pytest.mark.parametrize("member", sorted(members()))
def test_no_member_can_be_left_out(member: str) -> None:
    body = members()
    del body[member]
    with pytest.raises(TrustError):
        read(body)


@pytest.mark.parametrize(
    "raw", [b"", b"[]", b"{}", b"\xef\xbb\xbf{}", b'{"v":1,"v":1}', b'{"v":1.0}', b"[" * 1000, b'{"v":NaN}', b"\xff"]
)
def test_what_is_no_statement_at_all_is_refused(raw: bytes) -> None:
    with pytest.raises(TrustError) as refusal:
        read(raw)
    assert refusal.value.code == "trust.statement"


def test_another_payload_type_is_never_read() -> None:
    with pytest.raises(TrustError) as refusal:
        read_statement(Envelope("application/vnd.in-toto+json", STATEMENT.as_json(), ()))
    assert refusal.value.code == "trust.payload_type"


def test_whom_it_is_for_is_decided_on_labels_with_aliases() -> None:
    assert STATEMENT.selects({"deployment.environment": "prod"})
    assert STATEMENT.selects({"env": "prod", "deployment.environment": "dev"})
    assert not STATEMENT.selects({})
    assert STATEMENT.excludes({"deployment.environment": "prod", "region": "eu"}) == Selector.labels(
        env="prod", region="eu"
    )
    assert STATEMENT.excludes({"env": "prod"}) is None
    assert a_statement(selector=None).selects({})


def test_what_only_the_server_knows_is_not_judged() -> None:
    statement = a_statement(assumed=("region", "env"))
    assert statement.selects({})
    assert statement.excludes({"env": "prod", "region": "eu"}) is None


def test_fractions_of_a_second_are_not_part_of_a_statement() -> None:
    assert b"2026-01-10T00:00:00Z" in a_statement(issued=ISSUED + timedelta(milliseconds=900)).as_json()
