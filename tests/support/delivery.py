"""Deliveries of webhooks, as the senders make them."""

from __future__ import annotations

import hashlib
import hmac

from gitsync.control.webhook import PROVIDERS


def sign_delivery(kind: str, body: bytes, secret: bytes) -> dict[str, str]:
    """The headers that a sender of this kind would send."""
    provider = PROVIDERS[kind]
    if provider.is_token:
        return {provider.signature_header: secret.decode()}
    return {provider.signature_header: provider.prefix + hmac.new(secret, body, hashlib.sha256).hexdigest()}
