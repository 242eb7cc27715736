"""Webhooks: the signature over the raw bytes decides; the content is only a hint."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.control.webhook import MAX_BODY_BYTES, PROVIDERS, verify_delivery
from tests.support.delivery import sign_delivery

SECRET = b"it is a secret"
COMMIT = "1b2c3d4e5f60718293a4b5c6d7e8f90123456789"
PUSH = json.dumps({"ref": "refs/heads/main", "after": COMMIT}).encode()


@pytest.mark.parametrize("kind", sorted(PROVIDERS))
def test_a_genuine_delivery_announces_its_commit(kind: str) -> None:
    delivery = verify_delivery(kind, sign_delivery(kind, PUSH, SECRET), PUSH, [SECRET])
    assert delivery.accepted
    assert (delivery.announced, delivery.ref) == (COMMIT, "refs/heads/main")


@pytest.mark.parametrize("kind", sorted(PROVIDERS))
def test_a_wrong_secret_is_refused(kind: str) -> None:
    delivery = verify_delivery(kind, sign_delivery(kind, PUSH, b"another"), PUSH, [SECRET])
    assert (delivery.accepted, delivery.reason) == (False, "bad-signature")


def test_the_example_of_githubs_documentation_verifies() -> None:
    headers = {"x-hub-signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"}
    assert verify_delivery("github", headers, b"Hello, World!", [b"It's a Secret to Everybody"]).accepted


def test_a_changed_byte_is_refused() -> None:
    headers = sign_delivery("github", PUSH, SECRET)
    assert verify_delivery("github", headers, PUSH + b" ", [SECRET]).reason == "bad-signature"


def test_any_of_several_secrets_may_have_signed() -> None:
    headers = sign_delivery("github", PUSH, b"old")
    assert verify_delivery("github", headers, PUSH, [b"new", b"old"]).accepted


def test_no_signature_no_secret_unknown_provider_and_too_large_are_refused() -> None:
    signed = sign_delivery("github", PUSH, SECRET)
    assert verify_delivery("github", {}, PUSH, [SECRET]).reason == "no-signature"
    assert verify_delivery("github", signed, PUSH, []).reason == "bad-signature"
    assert verify_delivery("github", sign_delivery("github", PUSH, b""), PUSH, [b""]).reason == "bad-signature"
    assert verify_delivery("subversion", signed, PUSH, [SECRET]).reason == "unknown-provider"
    large = b" " * (MAX_BODY_BYTES + 1)
    assert verify_delivery("github", sign_delivery("github", large, SECRET), large, [SECRET]).reason == "too-large"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"not json",
        b"[]",
        b'{"after": 7}',
        b'{"after": "' + b"0" * 40 + b'"}',
        b'{"after": "../../etc"}',
        b'{"ref": ["a"]}',
        b"[" * 100_000,
    ],
)
def test_a_genuine_delivery_without_a_usable_commit_only_rings(body: bytes) -> None:
    delivery = verify_delivery("generic", sign_delivery("generic", body, SECRET), body, [SECRET])
    assert delivery.accepted
    assert delivery.announced is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["ref", "after", "commit", "x"]), inner),
)


@given(value=_JSON)
def test_any_json_gives_an_answer(value: object) -> None:
    body = json.dumps(value).encode()
    delivery = verify_delivery("generic", sign_delivery("generic", body, SECRET), body, [SECRET])
    assert delivery.accepted
    assert delivery.announced is None or len(delivery.announced) in (40, 64)
