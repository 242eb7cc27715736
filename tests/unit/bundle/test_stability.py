"""A change of our own output format is not a change of configuration."""

from __future__ import annotations

from gitsync.bundle.stability import keep_stable
from gitsync.bundle.version import COLLECTOR_OBJECT, EMPTY_SLOT, Bundle, Payload
from gitsync.ids import DEFAULT_SOURCE
from tests.support.builders import a_commit, a_payload, a_version

OLD = 'receivers: {"otlp": {protocols: {grpc: null}}}\nexporters: {debug: {verbosity: "basic"}}\n'
SAME = "exporters:\n  debug:\n    verbosity: basic\nreceivers:\n  otlp:\n    protocols:\n      grpc: null\n"
OTHER = SAME.replace("basic", "detailed")


def bundle(text: str, *, path: str = "agents", payload: Payload | None = None) -> Bundle:
    payload = payload or a_payload(text)
    version = a_version(path, text)
    return Bundle(DEFAULT_SOURCE, a_commit(), {path: version}, {version.slots[EMPTY_SLOT]: payload})


def test_the_same_meaning_in_other_bytes_keeps_the_stable_payload_and_version() -> None:
    stable = a_version("agents", OLD)
    kept = keep_stable(bundle(SAME), {"agents": stable}, {a_payload(OLD).digest: a_payload(OLD)})
    assert kept.versions["agents"].slots == stable.slots
    assert kept.versions["agents"].digest == stable.digest
    assert list(kept.payloads) == [a_payload(OLD).digest]


def test_another_meaning_is_a_new_payload() -> None:
    new = bundle(OTHER)
    kept = keep_stable(new, {"agents": a_version("agents", OLD)}, {a_payload(OLD).digest: a_payload(OLD)})
    assert kept == new


def test_a_quoted_number_is_not_the_number() -> None:
    stable, new = 'a: "123"\n', "a: 123\n"
    kept = keep_stable(
        bundle(new), {"agents": a_version("agents", stable)}, {a_payload(stable).digest: a_payload(stable)}
    )
    assert kept.payloads == bundle(new).payloads


def test_a_new_target_or_a_payload_that_is_not_at_hand_stays_as_compiled() -> None:
    assert keep_stable(bundle(SAME), {}, {}) == bundle(SAME)
    assert keep_stable(bundle(SAME), {"agents": a_version("agents", OLD)}, {}) == bundle(SAME)


def test_raw_objects_are_their_bytes() -> None:
    old, new = a_payload('{"a": 1}', name="sdk.json"), a_payload('{"a":1}', name="sdk.json")
    assert COLLECTOR_OBJECT != "sdk.json"
    stable = a_version("agents", '{"a": 1}')
    kept = keep_stable(bundle('{"a":1}', payload=new), {"agents": stable}, {old.digest: old})
    assert list(kept.payloads.values()) == [new]
