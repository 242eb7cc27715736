"""Texts of many agents are kept once, in bounds."""

from __future__ import annotations

from gitsync.opamp import messages as m
from gitsync.opamp import reports, texts
from gitsync.opamp.pb import anyvalue_pb2 as anyvalue
from gitsync.opamp.pb import opamp_pb2 as pb


def described(host: str) -> m.Described:
    pairs = [
        anyvalue.KeyValue(key=key, value=anyvalue.AnyValue(string_value=value))
        for key, value in {"os.description": "Debian 12.11", "host.name": host}.items()
    ]
    description = pb.AgentDescription(non_identifying_attributes=pairs)
    raw = pb.AgentToServer(agent_description=description).SerializeToString()
    (event,) = reports.read_reports(pb.AgentToServer.FromString(raw))
    assert isinstance(event, m.Described)
    return event


def test_agents_that_say_the_same_share_the_text() -> None:
    one, other = described("a"), described("b")
    assert one != other
    for first, second in zip(one.non_identifying, other.non_identifying, strict=True):
        assert first is second
    assert one.non_identifying["os.description"] is other.non_identifying["os.description"]


def test_a_pool_forgets_when_it_is_full_and_goes_on() -> None:
    pool: texts.Pool[int, str] = texts.Pool(3)
    assert [pool.share(number, str(number)) for number in range(100)] == [str(number) for number in range(100)]
    assert len(pool) <= 3
    assert pool.share(99, "new") == "99"
    assert pool.get(1) is None


def test_a_long_text_is_cut_and_not_shared() -> None:
    assert texts.text("x" * 5_000) == "x" * texts.MAX_TEXT_CHARS
    long = "y" * (texts.MAX_SHARED_CHARS + 1)
    assert texts.share(long) is long
    assert texts.share("".join(long)) == long


def test_a_nul_character_becomes_one_that_databases_store() -> None:
    assert texts.text("a\0b") == "a�b"
