"""Frames, parsing and error answers, byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import timedelta

import pytest

from gitsync.errors import ProtocolError
from gitsync.opamp import wire
from gitsync.opamp.messages import ErrorType
from gitsync.opamp.pb import opamp_pb2 as pb

UID = bytes(range(16))
BODY = b"\x0a\x10" + UID


def test_the_c_decoder_is_there() -> None:
    wire.require_upb()


def test_another_decoder_is_refused_in_words() -> None:
    code = "from gitsync.opamp.wire import require_upb; require_upb()"
    environment = os.environ | {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": "python"}
    command = [sys.executable, "-W", "ignore", "-c", code]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 1
    assert "SettingsError: protobuf runs on its 'python' decoder; gitsync needs upb" in result.stderr


@pytest.mark.parametrize(
    ("frame", "body"),
    [
        (b"\x00" + BODY, BODY),
        (b"\x80\x00" + BODY, BODY),
        (b"\x80" * 9 + b"\x00" + BODY, BODY),
        (b"\x00", b""),
        (BODY, BODY),
    ],
    ids=["usual", "over-long zero", "ten header bytes", "header only", "no header"],
)
def test_the_header_of_a_frame_is_taken_off(frame: bytes, body: bytes) -> None:
    assert wire.decode_frame(frame) == body
    assert wire.decode_frame(memoryview(frame)) == body


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (b"", "is empty"),
        (b"\x01" + BODY, "header 1,"),
        (b"\x81\x00" + BODY, "header 1,"),
        (b"\x80\x01" + BODY, "header 128,"),
        (b"\x80" * 10 + b"\x00" + BODY, "does not end within 10 bytes"),
        (b"\x80", "does not end"),
        (b"\x12\x10" + UID, "header 18,"),
        (b"\xff" * 9 + b"\x01", "header 18446744073709551615"),
    ],
)
def test_a_frame_with_another_header_is_refused(frame: bytes, text: str) -> None:
    with pytest.raises(ProtocolError, match=text) as caught:
        wire.decode_frame(frame)
    assert caught.value.code == "opamp.bad-request"


def test_our_frames_begin_with_zero() -> None:
    assert wire.encode_frame(BODY) == b"\x00" + BODY
    assert wire.decode_frame(wire.encode_frame(BODY)) == BODY


def test_a_message_is_parsed_from_bytes_and_from_a_view() -> None:
    sent = pb.AgentToServer(instance_uid=UID, sequence_num=7, capabilities=1)
    data = sent.SerializeToString()
    assert wire.parse_agent_message(data) == sent
    assert wire.parse_agent_message(memoryview(data)) == sent


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "message is empty; instance_uid is needed"),
        (b"\x10\x01", "instance_uid has 0 bytes; it must have 16"),
        (b"\x0a\x05" + UID[:5], "instance_uid has 5 bytes"),
        (b"\x0a\x11" + UID + b"x", "instance_uid has 17 bytes"),
        (b"\x0a\x10" + UID[:9], "not an AgentToServer message"),
        (b"GET / HTTP/1.1\r\n\r\n", "not an AgentToServer message"),
        (BODY + b"\x1a\x04\x0a\x02\x0a\x09", "not an AgentToServer message"),
        (BODY + b"\x6a\x03\x0a\x01\xff", "not an AgentToServer message"),
    ],
    ids=["empty", "no uid", "short uid", "long uid", "truncated", "HTTP", "nested length", "not UTF-8"],
)
def test_what_is_not_a_message_is_refused_in_words(data: bytes, text: str) -> None:
    with pytest.raises(ProtocolError, match=text) as caught:
        wire.parse_agent_message(data)
    assert caught.value.code == "opamp.bad-request"
    assert caught.value.status == 400


def test_a_message_nested_without_end_is_refused() -> None:
    data = b""
    for _ in range(400):  # health trees, each the child "a" of the next
        entry = b"\x0a\x01a\x12" + length(data) + data
        data = b"\x32" + length(entry) + entry
    message = BODY + b"\x2a" + length(data) + data
    with pytest.raises(ProtocolError, match="not an AgentToServer message"):
        wire.parse_agent_message(message)


def length(data: bytes) -> bytes:
    """Varint of the size of `data`."""
    size = len(data)
    digits = bytearray()
    while size >= 0x80:
        digits.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*digits, size])


def test_unknown_fields_are_no_error() -> None:
    message = wire.parse_agent_message(BODY + b"\xa2\x06\x03abc" + b"\x10\x05")
    assert message.sequence_num == 5


def test_an_error_answer_has_only_the_error_beside_the_uid() -> None:
    answer = pb.ServerToAgent.FromString(wire.error_reply(UID, ErrorType.BAD_REQUEST, "no"))
    assert answer == pb.ServerToAgent(
        instance_uid=UID,
        error_response=pb.ServerErrorResponse(type=pb.ServerErrorResponseType_BadRequest, error_message="no"),
    )


def test_an_error_answer_without_a_known_agent_has_no_uid() -> None:
    answer = pb.ServerToAgent.FromString(wire.error_reply(b"", ErrorType.BAD_REQUEST, "no"))
    assert [field.name for field, _ in answer.ListFields()] == ["error_response"]


@pytest.mark.parametrize(
    ("kind", "wait", "nanoseconds"),
    [
        (ErrorType.UNAVAILABLE, timedelta(seconds=30), 30_000_000_000),
        (ErrorType.UNAVAILABLE, timedelta(microseconds=1), 1000),
        (ErrorType.UNAVAILABLE, timedelta(seconds=-5), 0),
        (ErrorType.UNAVAILABLE, timedelta.max, 365 * 24 * 3600 * 10**9),
        (ErrorType.UNAVAILABLE, None, None),
        (ErrorType.BAD_REQUEST, timedelta(seconds=30), None),
        (ErrorType.UNKNOWN, timedelta(seconds=30), None),
    ],
)
def test_only_unavailable_tells_when_to_come_back(
    kind: ErrorType, wait: timedelta | None, nanoseconds: int | None
) -> None:
    error = pb.ServerToAgent.FromString(wire.error_reply(UID, kind, "busy", wait)).error_response
    assert error.type == int(kind)
    told = error.retry_info.retry_after_nanoseconds if error.HasField("retry_info") else None
    assert told == nanoseconds


def test_the_text_of_an_error_is_cut_and_always_writable() -> None:
    data = wire.error_reply(UID, ErrorType.BAD_REQUEST, "\ud800" + "x" * 5000)
    text = pb.ServerToAgent.FromString(data).error_response.error_message
    assert text == "?" + "x" * 1023
