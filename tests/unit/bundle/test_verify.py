"""The verifier: one good path, and a refusal of its own for everything else."""

import json
from base64 import b64encode
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gitsync.bundle.dsse import Envelope, Signature
from gitsync.bundle.statement import PAYLOAD_TYPE, Statement
from gitsync.bundle.verify import NO_MEMORY, Memory, TrustRoot, parse_root, public_key_record, verify
from gitsync.bundle.version import ConfigObject, config_hash
from gitsync.errors import TrustError
from gitsync.ids import show_digest
from gitsync.labels import Selector
from tests.support.signing import (
    ISSUED,
    KEY,
    NOW,
    OBJECTS,
    ROOT,
    STATEMENT,
    Key,
    a_statement,
    signed,
    stated,
)

LABELS = {"deployment.environment": "prod"}
L = 2**252 + 27742317777372353535851937790883648493


def refusal(envelope: Envelope | bytes, **changes: object) -> str:
    """The code of the refusal."""
    given: dict[str, object] = {
        "root": ROOT,
        "memory": NO_MEMORY,
        "labels": LABELS,
        "now": NOW,
        "objects": OBJECTS,
    } | changes
    with pytest.raises(TrustError) as refused:
        verify(envelope, **given)  # type: ignore[arg-type]
    assert not refused.value.retryable
    return refused.value.code


def accepted(envelope: Envelope | bytes = signed(), **changes: object) -> Statement:  # noqa: B008
    given: dict[str, object] = {
        "root": ROOT,
        "memory": NO_MEMORY,
        "labels": LABELS,
        "now": NOW,
        "objects": OBJECTS,
    } | changes
    return verify(envelope, **given)  # type: ignore[arg-type]


# ── The good path ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_good_statement_is_returned() -> None:
    assert accepted() == STATEMENT
    assert accepted(signed().as_json()) == STATEMENT


def test_both_schemes_work_and_may_be_mixed() -> None:
    other = Key.p256()
    assert accepted(signed(STATEMENT, other), root=TrustRoot(1, (other.record,))) == STATEMENT
    both = TrustRoot(2, (KEY.record, other.record))
    assert accepted(signed(STATEMENT, other, KEY), root=both) == STATEMENT


def test_signatures_by_strangers_do_not_spoil_a_good_one() -> None:
    assert accepted(signed(STATEMENT, Key.ed25519(9), KEY)) == STATEMENT


def test_labels_and_objects_may_be_left_unchecked() -> None:
    assert accepted(labels=None, objects=None) == STATEMENT


def test_the_order_of_the_given_objects_does_not_matter() -> None:
    objects = (ConfigObject("a", "text/plain", "", b"1"), ConfigObject("b", "text/plain", "r", b"2"))
    statement = a_statement(objects=stated(objects), config_hash=show_digest(config_hash(objects)))
    assert accepted(signed(statement), objects=objects[::-1]) == statement


# ── Signatures ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_flipped_bit_anywhere_is_noticed() -> None:
    good = signed()
    for index in range(0, len(good.payload), 7):
        payload = bytearray(good.payload)
        payload[index] ^= 1
        assert refusal(replace(good, payload=bytes(payload))) == "trust.signature"
    for index in range(64):
        sig = bytearray(good.signatures[0].sig)
        sig[index] ^= 1
        assert refusal(replace(good, signatures=(Signature(KEY.record.keyid, bytes(sig)),))) == "trust.signature"


def test_the_type_of_what_is_signed_cannot_be_swapped() -> None:
    assert refusal(replace(signed(), payload_type="application/json")) == "trust.payload_type"
    body = STATEMENT.as_json()
    foreign = Envelope(PAYLOAD_TYPE, body, (KEY.sign(body, "application/vnd.gitsync.root.v1+json"),))
    assert refusal(foreign) == "trust.signature"


def test_nobody_and_strangers_are_not_enough() -> None:
    assert refusal(replace(signed(), signatures=())) == "trust.unsigned"
    assert refusal(signed(STATEMENT, Key.ed25519(2))) == "trust.unknown_key"


def test_one_key_counts_once() -> None:
    two = TrustRoot(2, (KEY.record, Key.ed25519(2).record))
    assert refusal(signed(STATEMENT, KEY, KEY), root=two) == "trust.threshold"
    assert refusal(signed(STATEMENT, KEY, Key.ed25519(3)), root=two) == "trust.threshold"


def test_a_threshold_of_zero_still_needs_a_signature() -> None:
    assert refusal(signed(STATEMENT, Key.ed25519(2)), root=TrustRoot(0, (KEY.record,))) == "trust.unknown_key"


def test_a_swapped_key_id_does_not_help() -> None:
    other = Key.ed25519(2)
    sig = other.sign(STATEMENT.as_json()).sig
    swapped = replace(signed(), signatures=(Signature(KEY.record.keyid, sig),))
    assert refusal(swapped) == "trust.signature"
    both = TrustRoot(1, (KEY.record, other.record))
    assert refusal(swapped, root=both) == "trust.signature"


def test_the_scheme_comes_from_the_root() -> None:
    curve, edwards = Key.p256(), KEY
    body = STATEMENT.as_json()
    for key, foreign in ((curve, edwards), (edwards, curve)):
        forged = Envelope(PAYLOAD_TYPE, body, (Signature(key.record.keyid, foreign.sign(body).sig),))
        assert refusal(forged, root=TrustRoot(1, (key.record,))) == "trust.signature"
        confused = replace(key.record, scheme=foreign.record.scheme)
        assert refusal(signed(STATEMENT, key), root=TrustRoot(1, (confused,))) == "trust.signature"


def test_a_malleable_signature_is_refused() -> None:
    sig = KEY.sign(STATEMENT.as_json()).sig
    larger = int.from_bytes(sig[32:], "little") + L
    twin = sig[:32] + larger.to_bytes(32, "little")
    assert refusal(replace(signed(), signatures=(Signature(KEY.record.keyid, twin),))) == "trust.signature"


@pytest.mark.parametrize("sig", [b"", b"\0" * 63, b"\0" * 64, b"\0" * 65, b"\0" * 8192])
def test_signatures_of_the_wrong_form_are_refused(sig: bytes) -> None:
    assert refusal(replace(signed(), signatures=(Signature(KEY.record.keyid, sig),))) == "trust.signature"
    curve = Key.p256()
    forged = replace(signed(), signatures=(Signature(curve.record.keyid, sig),))
    assert refusal(forged, root=TrustRoot(1, (curve.record,))) == "trust.signature"


# ── Statement, order, time, audience ────────────────────────────────────────────────────────────────────────────


def test_signed_nonsense_is_still_nonsense() -> None:
    assert refusal(signed(b"{}")) == "trust.statement"
    assert refusal(signed(STATEMENT.as_json() + b"{}")) == "trust.statement"
    assert refusal(b"{}") == "trust.envelope"


def test_what_is_not_verified_is_not_even_read() -> None:
    assert refusal(signed(b"{}", Key.ed25519(2))) == "trust.unknown_key"


def test_an_older_revision_is_refused_an_equal_or_newer_one_is_not() -> None:
    memory = Memory("default", 100)
    assert accepted(memory=memory) == STATEMENT
    assert accepted(memory=Memory("default", 99)) == STATEMENT
    assert refusal(signed(), memory=Memory("default", 101)) == "trust.revision"


def test_memory_follows_what_was_accepted() -> None:
    memory = NO_MEMORY.after(accepted())
    assert (memory.source, memory.revision) == ("default", 100)
    other_target = a_statement(path="agents/env=dev", selector=None)
    memory = memory.after(accepted(signed(other_target), memory=memory))
    assert len(memory.seen) == 2
    newer = a_statement(revision=101)
    assert len(memory.after(accepted(signed(newer), memory=memory)).seen) == 1


def test_one_revision_cannot_say_two_things_about_one_target() -> None:
    memory = NO_MEMORY.after(accepted())
    assert accepted(memory=memory) == STATEMENT
    objects = (replace(OBJECTS[0], body=b"other"),)
    twin = a_statement(objects=stated(objects), config_hash=show_digest(config_hash(objects)))
    assert refusal(signed(twin), memory=memory, objects=objects) == "trust.equivocation"
    assert accepted(signed(replace(twin, revision=101)), memory=memory, objects=objects)


def test_statements_of_another_source_are_refused() -> None:
    assert refusal(signed(), memory=Memory("other", 1)) == "trust.source"


def test_times_have_five_minutes_of_leeway() -> None:
    expires = STATEMENT.expires
    assert accepted(now=expires + timedelta(minutes=4)) == STATEMENT
    assert refusal(signed(), now=expires + timedelta(minutes=6)) == "trust.expired"
    assert accepted(now=ISSUED - timedelta(minutes=4)) == STATEMENT
    assert refusal(signed(), now=ISSUED - timedelta(minutes=6)) == "trust.future"


def test_a_statement_for_others_is_refused() -> None:
    assert refusal(signed(), labels={"env": "dev"}) == "trust.selector"
    assert refusal(signed(), labels={}) == "trust.selector"
    assert refusal(signed(), labels=LABELS | {"region": "eu"}) == "trust.except"
    rest = a_statement(selector=None, excepts=(Selector.labels(role="gateway"),))
    assert accepted(signed(rest), labels={}) == rest
    assert refusal(signed(rest), labels={"role": "gateway"}) == "trust.except"


def test_a_variant_is_for_its_buckets_only() -> None:
    envelope = signed(a_statement(buckets=(10, 20)))
    assert accepted(envelope, bucket=10)
    assert accepted(envelope, bucket=19)
    for bucket in (None, 9, 20):
        assert refusal(envelope, bucket=bucket) == "trust.buckets"


# ── Objects ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "objects",
    [
        (),
        (*OBJECTS, ConfigObject("more", "text/yaml", "", b"")),
        OBJECTS + OBJECTS,
        (replace(OBJECTS[0], name="other.yaml"),),
        (replace(OBJECTS[0], content_type="text/plain"),),
        (replace(OBJECTS[0], role="r"),),
        (replace(OBJECTS[0], body=b"receivers:\r\n"),),
        (replace(OBJECTS[0], body=b"receivers:\t"),),
    ],
)
def test_other_objects_than_stated_are_refused(objects: tuple[ConfigObject, ...]) -> None:
    assert refusal(signed(), objects=objects) == "trust.objects"


def test_a_statement_whose_own_hash_is_wrong_is_refused() -> None:
    assert refusal(signed(a_statement(config_hash="sha256:" + "0" * 64))) == "trust.config_hash"


# ── The root ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_root_is_read_back_as_it_was() -> None:
    root = TrustRoot(2, (KEY.record, Key.p256().record))
    assert parse_root(root.as_json()) == root
    assert KEY.record.keyid == "fd110d301d2f077de1414b8f99f441b1403fab207b2052fbd2c065e4ee8e7dc2"


def test_a_root_with_a_fault_is_refused() -> None:
    good = json.loads(ROOT.as_json())
    key = good["keys"][0]
    for fault in (
        {"v": 2},
        {"v": True},
        {"threshold": 0},
        {"threshold": 2},
        {"threshold": True},
        {"threshold": "1"},
        {"keys": []},
        {"keys": {}},
        {"keys": [key, key]},
        {"keys": ["x"]},
        {"keys": [key | {"keyid": "0" * 64}]},
        {"keys": [key | {"scheme": "ecdsa-sha2-nistp256"}]},
        {"keys": [key | {"scheme": None}]},
        {"keys": [key | {"public": key["public"] + "\n"}]},
        {"keys": [key | {"more": 1}]},
        {"more": 1},
    ):
        with pytest.raises(TrustError) as refused:
            parse_root(json.dumps(good | fault).encode())
        assert refused.value.code == "trust.root", fault
    with pytest.raises(TrustError):
        parse_root(b"\xef\xbb\xbf" + ROOT.as_json())


def spki(public: object) -> bytes:
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined,no-any-return]


def test_only_keys_of_the_two_schemes_can_be_trusted() -> None:
    der = spki(KEY.private.public_key())
    for bad in (
        b"",
        der[:-1],
        der + b"\0",
        spki(generate_private_key(SECP384R1()).public_key()),
        spki(X25519PrivateKey.from_private_bytes(bytes(32)).public_key()),
    ):
        with pytest.raises(TrustError) as refused:
            public_key_record(bad)
        assert refused.value.code == "trust.key"


# The curve -x^2 + y^2 = 1 + d x^2 y^2 in plain integers, as an oracle.
P = 2**255 - 19
D = -121665 * pow(121666, -1, P) % P


def x_of(y: int) -> int | None:
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    root = pow(square, (P + 3) // 8, P)
    for candidate in (root, root * pow(2, (P - 1) // 4, P) % P):
        if candidate * candidate % P == square:
            return candidate
    return None


def add(a: tuple[int, int], b: tuple[int, int]) -> tuple[int, int]:
    (x1, y1), (x2, y2) = a, b
    product = D * x1 * x2 * y1 * y2 % P
    x = (x1 * y2 + x2 * y1) * pow(1 + product, -1, P) % P
    y = (y1 * y2 + x1 * x2) * pow(1 - product, -1, P) % P
    return x, y


def small_order_points() -> set[tuple[int, int]]:
    """All eight points whose order divides 8: multiples of what any point becomes times the large order."""
    for start in range(2, 50):
        x = x_of(start)
        if x is None:
            continue
        point, total = (x, start), (0, 1)
        for bit in f"{L:b}":
            total = add(total, total)
            if bit == "1":
                total = add(total, point)
        points = {(0, 1)}
        step = total
        while step not in points:
            points.add(step)
            step = add(step, total)
        if len(points) == 8:
            return points
    raise AssertionError("no generator found")


def test_every_weak_point_is_refused_as_a_key() -> None:
    points = small_order_points()
    encodings = {(y | (x & 1) << 255).to_bytes(32, "little") for x, y in points}
    encodings |= {(y | sign << 255).to_bytes(32, "little") for _, y in points for sign in (0, 1)}
    encodings |= {(y + P).to_bytes(32, "little") for y in range(19)}
    assert len(encodings) > 20
    for raw in encodings:
        with pytest.raises(TrustError) as refused:
            public_key_record(spki(Ed25519PublicKey.from_public_bytes(raw)))
        assert refused.value.code == "trust.key"


def test_a_root_cannot_smuggle_a_weak_key_in() -> None:
    weak = spki(Ed25519PublicKey.from_public_bytes(b"\x01" + bytes(31)))
    body = {
        "v": 1,
        "threshold": 1,
        "keys": [{"keyid": "0" * 64, "scheme": "ed25519", "public": b64encode(weak).decode()}],
    }
    with pytest.raises(TrustError) as refused:
        parse_root(json.dumps(body).encode())
    assert refused.value.code == "trust.key"
