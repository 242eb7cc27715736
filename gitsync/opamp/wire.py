"""Bytes of one OpAMP message: the WebSocket payload header, parsing, and the error answer.

Rules (OpAMP, WebSocket Message Format and Bad Request)
- A WebSocket message is a varint header, always 0, and then the protobuf message. A zero may be over-long.
- Old agents send no header; their messages begin with the tag of field 1.
- What cannot be read raises `ProtocolError` and nothing else; `error_reply` tells the peer.
"""

from __future__ import annotations

from datetime import timedelta

from google.protobuf.internal import api_implementation
from google.protobuf.message import DecodeError

from gitsync.errors import ProtocolError, SettingsError
from gitsync.opamp.messages import ErrorType
from gitsync.opamp.pb import opamp_pb2 as pb

UID_BYTES = 16
"""Length of every instance uid."""
FRAME_HEADER = b"\x00"
"""The WebSocket payload header of every message that we send."""
BAD_REQUEST = "opamp.bad-request"
"""Code of a `ProtocolError` about bytes that are not an AgentToServer message."""
MAX_ERROR_CHARS = 1024

_MAX_HEADER_BYTES = 10
_UID_TAG = 0x0A
_LONGEST_WAIT = timedelta(days=365)


def require_upb() -> None:
    """Refuse to run on the pure-Python decoder, which is 20 times slower and has no depth limit of its own.

    Raises:
        SettingsError: protobuf does not use its C decoder (upb).
    """
    kind = api_implementation.Type()
    if kind != "upb":
        raise SettingsError(
            f"protobuf runs on its {kind!r} decoder; gitsync needs upb",
            code="protobuf.decoder",
            hint="install a binary wheel of protobuf, and unset PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION",
        )


def _bad_request(text: str) -> ProtocolError:
    return ProtocolError(text, code=BAD_REQUEST)


def decode_frame(data: bytes | memoryview) -> bytes | memoryview:
    """The protobuf message inside one binary WebSocket message; possibly empty.

    A slice of `data`, of the same type. A message without header is returned whole.

    Raises:
        ProtocolError: empty frame, a header other than 0, or one that does not end.
    """
    if not data:
        raise _bad_request("the WebSocket message is empty")
    first = data[0]
    if first == 0:
        return data[1:]
    if first == _UID_TAG:
        return data
    value = 0
    for index, byte in enumerate(data[:_MAX_HEADER_BYTES]):
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            if value:
                raise _bad_request(f"the WebSocket message begins with header {value}, and only 0 is known")
            return data[index + 1 :]
    raise _bad_request(f"the header of the WebSocket message does not end within {_MAX_HEADER_BYTES} bytes")


def encode_frame(message: bytes) -> bytes:
    """The binary WebSocket message for a serialised protobuf message."""
    return FRAME_HEADER + message


def parse_agent_message(data: bytes | memoryview) -> pb.AgentToServer:
    """The message of an agent; its instance uid has 16 bytes, everything else is as it came.

    Raises:
        ProtocolError: empty, not an AgentToServer message, or an instance uid of another length.
    """
    try:
        message = pb.AgentToServer.FromString(data)  # type: ignore[arg-type]  # upb reads any buffer
    except DecodeError as error:
        raise _bad_request(f"not an AgentToServer message: {error}") from error
    length = len(message.instance_uid)
    if length != UID_BYTES:
        if not data:
            raise _bad_request("the message is empty; instance_uid is needed in every message")
        raise _bad_request(f"instance_uid has {length} bytes; it must have {UID_BYTES}")
    return message


def error_reply(uid: bytes, type: ErrorType, text: str, retry_after: timedelta | None = None) -> bytes:  # noqa: A002  # the field's name
    """A serialised ServerToAgent with only an error in it (no frame header).

    Args:
        uid: of the agent that is answered; empty when its message could not be read.
        type: class of the error.
        text: for people; cut to 1024 characters.
        retry_after: told to the agent with `ErrorType.UNAVAILABLE` only, as the specification has it.
    """
    clean = text[:MAX_ERROR_CHARS].encode("utf-8", "replace").decode("utf-8")  # protobuf refuses lone surrogates
    error = pb.ServerErrorResponse(type=int(type), error_message=clean)  # type: ignore[arg-type]  # same numbers, proven by a test
    if retry_after is not None and type is ErrorType.UNAVAILABLE:
        wait = min(max(retry_after, timedelta(0)), _LONGEST_WAIT)
        error.retry_info.retry_after_nanoseconds = wait // timedelta(microseconds=1) * 1000
    return pb.ServerToAgent(instance_uid=uid, error_response=error).SerializeToString()
