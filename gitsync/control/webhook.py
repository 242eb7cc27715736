"""Webhooks: is a delivery genuine, and which commit does it announce? Pure.

A delivery is a doorbell, never data: nothing in it is used but the announced commit id, as a hint what to look for.
The signature is checked over the raw bytes, in constant time, before anything is parsed.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gitsync.ids import CommitId

MAX_BODY_BYTES = 1 << 20
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_ZERO = re.compile(r"0+")


@dataclass(frozen=True, slots=True)
class Provider:
    """How one kind of sender proves itself.

    Attributes:
        signature_header: lower case.
        prefix: what stands before the hex digest.
        is_token: the header carries the secret itself (GitLab), not a digest.
    """

    signature_header: str
    prefix: str = ""
    is_token: bool = False


PROVIDERS: Mapping[str, Provider] = {
    "github": Provider("x-hub-signature-256", "sha256="),
    "gitea": Provider("x-gitea-signature"),
    "forgejo": Provider("x-forgejo-signature"),
    "gitlab": Provider("x-gitlab-token", is_token=True),
    "bitbucket": Provider("x-hub-signature", "sha256="),
    "generic": Provider("x-gitsync-signature", "sha256="),
}


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a delivery says.

    Attributes:
        accepted: whether its signature holds.
        reason: a stable word: accepted, unknown-provider, too-large, no-signature, bad-signature.
        announced: the commit that it announces, when it has the form of one.
        ref: full ref name (`refs/heads/main`) when it names one; "" otherwise.
    """

    accepted: bool
    reason: str
    announced: CommitId | None = None
    ref: str = ""


def verify_delivery(kind: str, headers: Mapping[str, str], body: bytes, secrets: Sequence[bytes]) -> Delivery:
    """Checks one delivery.

    Args:
        headers: names in lower case.
        secrets: any of them may have signed, so that a secret can be renewed without a gap.

    Returns:
        Total: any body gives an answer, never an exception.
    """
    provider = PROVIDERS.get(kind)
    if provider is None:
        return Delivery(accepted=False, reason="unknown-provider")
    if len(body) > MAX_BODY_BYTES:
        return Delivery(accepted=False, reason="too-large")
    given = headers.get(provider.signature_header, "")
    if not given:
        return Delivery(accepted=False, reason="no-signature")
    if not any(_is_proof(provider, given, body, secret) for secret in secrets):
        return Delivery(accepted=False, reason="bad-signature")
    announced, ref = _announcement(body)
    return Delivery(accepted=True, reason="accepted", announced=announced, ref=ref)


def _is_proof(provider: Provider, given: str, body: bytes, secret: bytes) -> bool:
    if not secret:
        return False
    if provider.is_token:
        return hmac.compare_digest(given.encode(), secret)
    expected = provider.prefix + hmac.new(secret, body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(given.lower().encode(), expected.encode())


def _announcement(body: bytes) -> tuple[CommitId | None, str]:
    """The commit and ref of a push, in the forms of the known senders; nothing else of the body is looked at."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None, ""
    if not isinstance(data, dict):
        return None, ""
    ref = data.get("ref")
    ref = ref if isinstance(ref, str) and len(ref) <= 255 else ""
    for value in (data.get("after"), data.get("checkout_sha"), data.get("commit")):
        if isinstance(value, str) and _COMMIT.fullmatch(value) and not _ZERO.fullmatch(value):
            return CommitId(value), ref
    return None, ref
