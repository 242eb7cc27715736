"""Agents whose builds lack what a commit would give them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gitsync.bundle.version import Bundle, CompileResult, Need
from gitsync.collector.node import Origin
from gitsync.control.connected import components_body
from gitsync.control.inventory import COMPONENTS, stored_key
from gitsync.control.lacking import find_lacking
from gitsync.diagnostics import Severity
from gitsync.opamp.messages import Component
from gitsync.store import SqlStore, StoreOptions
from tests.store.builders import NOW, TARGET, a_commit, a_record

AT = Origin("agents/collector.yaml", 7, 3)
NEEDS = (
    Need("receivers", "otlp", frozenset({"otlp"}), Origin("agents/collector.yaml", 2, 3)),
    Need("exporters", "kafka/a", frozenset({"kafka"}), AT),
    Need("exporters", "otlp", frozenset({"otlp", "otlp_grpc"}), Origin("agents/collector.yaml", 8, 3)),
)
WITHOUT_KAFKA = {"receivers": ["otlp", "nop"], "exporters": ["otlp_grpc"]}
WITH_ALL = {"receivers": ["otlp"], "exporters": ["otlp_grpc", "kafka"]}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqlStore]:
    async with await SqlStore.open(StoreOptions(f"sqlite:///{tmp_path / 'gitsync.db'}")) as store:
        yield store


def result(severity: Severity = Severity.WARNING) -> CompileResult:
    bundle = Bundle(TARGET.source, a_commit(), {}, {})
    return CompileResult(bundle, (), (), {TARGET.path: NEEDS}, severity)


async def report(store: SqlStore, build: bytes, components: dict[str, list[str]]) -> None:
    body = components_body(
        {kind: Component({}, {name: Component({}, {}) for name in names}) for kind, names in components.items()}
    )
    await store.keep_blob(stored_key(build), COMPONENTS, body, NOW)


async def test_a_component_that_some_agents_lack_is_named_where_it_is_configured(store: SqlStore) -> None:
    await report(store, b"small", WITHOUT_KAFKA)
    await report(store, b"large", WITH_ALL)
    await store.save_agents([a_record(one, components=b"small") for one in (1, 2)], [])
    await store.save_agents([a_record(3, components=b"large"), a_record(4)], [])
    (found,) = await find_lacking(TARGET.source, result(), store)
    assert (found.path, found.line, found.code, found.severity) == (AT.path, 7, "GS0801", Severity.WARNING)
    assert '2 of 3 agents of target "' in found.message
    assert 'the exporter "kafka/a"' in found.message


async def test_a_policy_can_reject_such_a_commit(store: SqlStore) -> None:
    await report(store, b"small", WITHOUT_KAFKA)
    await store.save_agents([a_record(1, components=b"small")], [])
    judged = result(Severity.ERROR)
    after = judged.with_findings(await find_lacking(TARGET.source, judged, store))
    assert after.bundle is None
    assert [one.code for one in after.diagnostics] == ["GS0801"]
    allowed = result()
    assert allowed.with_findings(await find_lacking(TARGET.source, allowed, store)).bundle is allowed.bundle


async def test_agents_that_have_not_told_their_components_are_not_counted(store: SqlStore) -> None:
    await store.save_agents([a_record(1, components=b"unknown"), a_record(2)], [])
    assert await find_lacking(TARGET.source, result(), store) == ()


async def test_a_rejected_commit_asks_nobody(store: SqlStore) -> None:
    assert await find_lacking(TARGET.source, CompileResult(None, (), (), {TARGET.path: NEEDS}), store) == ()


async def test_a_policy_can_leave_it_unsaid(store: SqlStore) -> None:
    await report(store, b"small", WITHOUT_KAFKA)
    await store.save_agents([a_record(1, components=b"small")], [])
    unsaid = CompileResult(result().bundle, (), (), {TARGET.path: NEEDS}, None)
    assert await find_lacking(TARGET.source, unsaid, store) == ()


async def test_a_build_that_is_told_in_another_order_says_nothing(store: SqlStore) -> None:
    await report(store, b"flat", {"otlp": [], "kafka": ["producer"]})
    await report(store, b"empty", {"receivers": [], "exporters": []})
    await store.save_agents([a_record(1, components=b"flat"), a_record(2, components=b"empty")], [])
    assert await find_lacking(TARGET.source, result(), store) == ()
