"""Texts of many agents are kept once, in bounds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

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


some_texts = st.one_of(
    st.text(max_size=10),
    st.text(st.sampled_from("a\0é"), max_size=4),
    st.sampled_from(["", "\0", "a\0b", "a\N{REPLACEMENT CHARACTER}b"]),
    st.integers(texts.MAX_SHARED_CHARS - 2, texts.MAX_SHARED_CHARS + 2).map(lambda length: "x" * length),
    st.integers(texts.MAX_TEXT_CHARS - 2, texts.MAX_TEXT_CHARS + 2).map(lambda length: "\0" + "x" * (length - 1)),
)


@given(st.lists(st.tuples(st.booleans(), some_texts), max_size=20))
def test_whatever_was_shared_before_a_text_is_cut_and_has_no_nul(said: list[tuple[bool, str]]) -> None:
    for is_stored, value in said:
        if is_stored:  # what comes from a row is shared as it is
            assert texts.share(value) == value
        assert texts.text(value) == value[: texts.MAX_TEXT_CHARS].replace("\0", "\N{REPLACEMENT CHARACTER}")
        assert texts.text(texts.text(value)) == texts.text(value)
        if len(value) <= texts.MAX_SHARED_CHARS:
            assert texts.text(value) is texts.text("".join(list(value)))


def test_a_stored_text_with_a_nul_does_not_keep_it_in_what_agents_say() -> None:
    assert texts.share("kept\0as it is") == "kept\0as it is"
    assert texts.text("kept\0as it is") == "kept\N{REPLACEMENT CHARACTER}as it is"
