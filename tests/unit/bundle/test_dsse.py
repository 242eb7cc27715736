"""The envelope: the same bytes as other implementations, and nothing but one reading of it."""

import json
from base64 import b64encode

import pytest
from securesystemslib.dsse import Envelope as ReferenceEnvelope
from securesystemslib.signer import SSlibKey

from gitsync.bundle.dsse import MAX_ENVELOPE_BYTES, Envelope, Signature, pae, parse_envelope
from gitsync.bundle.statement import PAYLOAD_TYPE
from gitsync.errors import TrustError
from tests.support.signing import KEY, signed

GOOD = signed()


def test_the_signed_bytes_are_those_of_the_specification() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("t", "é ".encode()) == b"DSSEv1 1 t 3 \xc3\xa9 "


def test_the_reference_implementation_reads_and_verifies_our_envelopes() -> None:
    reference = ReferenceEnvelope.from_dict(json.loads(GOOD.as_json()))
    assert reference.pae() == pae(GOOD.payload_type, GOOD.payload)
    key = SSlibKey.from_crypto(KEY.private.public_key(), keyid=KEY.record.keyid)
    assert list(reference.verify([key], 1)) == [KEY.record.keyid]


def test_we_read_envelopes_of_the_reference_implementation() -> None:
    theirs = json.dumps(ReferenceEnvelope.from_dict(json.loads(GOOD.as_json())).to_dict()).encode()
    assert parse_envelope(theirs) == GOOD


def test_an_envelope_is_read_back_as_it_was() -> None:
    several = Envelope(PAYLOAD_TYPE, b"\x00\xff", (Signature("a", b"1"), Signature("b", b"")))
    for one in (GOOD, several, Envelope("t", b"", ())):
        assert parse_envelope(one.as_json()) == one
        assert parse_envelope(one.as_json()).as_json() == one.as_json()


def hostile() -> dict[str, bytes]:
    good = GOOD.as_json().decode()
    body = json.loads(good)
    payload = body["payload"]
    signature = body["signatures"][0]

    def changed(**members: object) -> bytes:
        return json.dumps(body | members).encode()

    return {
        "empty": b"",
        "no object": b"[]",
        "10 MB": changed(payload=b64encode(bytes(10 << 20)).decode()),
        "nested": b'{"payload":' + b"[" * 10_000 + b"]" * 10_000 + b"}",
        "nested behind quotes": b'{"a":"\\"' + b"[" * 10_000,
        "a member twice": good.replace('"payload"', '"payload":"","payload"', 1).encode(),
        "a signature member twice": good.replace('"keyid"', '"keyid":"x","keyid"', 1).encode(),
        "NaN": good.replace('"signatures":[', '"signatures":[NaN,', 1).encode(),
        "a fraction": good.replace('"signatures":[', '"signatures":[1.5,', 1).encode(),
        "byte order mark": b"\xef\xbb\xbf" + good.encode(),
        "UTF-16": good.encode("utf-16"),
        "not UTF-8": good.encode() + b"\xff",
        "trailing bytes": good.encode() + b"{}",
        "unknown member": changed(more=1),
        "member missing": json.dumps({"payload": payload, "signatures": []}).encode(),
        "payload no text": changed(payload=1),
        "type no text": changed(payloadType=None),
        "type empty": changed(payloadType=""),
        "signatures no list": changed(signatures={}),
        "signature no object": changed(signatures=["x"]),
        "too many signatures": changed(signatures=[signature] * 17),
        "base64 without padding": changed(payload=b64encode(b"abcd").decode().rstrip("=")),
        "base64 with loose bits": changed(payload="YWJjZB=="),
        "base64 with a line break": changed(payload=payload[:4] + "\n" + payload[4:]),
        "URL-safe base64": changed(payload="_-8="),
        "base64 not ASCII": changed(payload="é==="),
    }


@pytest.mark.parametrize("name", hostile())
def test_what_is_not_exactly_an_envelope_is_refused(name: str) -> None:
    with pytest.raises(TrustError) as refusal:
        parse_envelope(hostile()[name])
    assert refusal.value.code == "trust.envelope"
    assert len(str(refusal.value)) < 200


def test_reading_a_hostile_envelope_takes_linear_time() -> None:
    with pytest.raises(TrustError):
        parse_envelope(b'{"a":"' + b'\\"' * (MAX_ENVELOPE_BYTES // 2 - 10))
