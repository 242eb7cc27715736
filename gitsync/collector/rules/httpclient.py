"""HTTP clients of Prometheus' libraries: ways to say who asks, of which one may be used."""

from __future__ import annotations

from gitsync.collector.findings import Findings
from gitsync.collector.rules.demands import EXCLUSIVE, WORD, exclusive, require
from gitsync.collector.settings import Settings

_WAYS = ("basic_auth", "oauth2", "authorization")
_BEARERS = ("bearer_token", "bearer_token_file")
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def check_http_client(settings: Settings, findings: Findings) -> None:
    """One way to authenticate, one source for each secret (prometheus/common config/http_config.go `Validate`)."""
    exclusive(settings, findings, *_BEARERS)
    ways = [key for key in _WAYS if settings.has(key)]
    bearers = [key for key in _BEARERS if not settings.is_empty(key)]
    if len(ways) > 1 or (ways and bearers):
        names = ", ".join(f'"{key}"' for key in (*ways, *bearers))
        findings.error(settings.key_place((*ways, *bearers)[-1]), EXCLUSIVE, f"{names} exclude each other", "keep one")
    basic = settings.below("basic_auth")
    exclusive(basic, findings, "username", "username_file", "username_ref")
    exclusive(basic, findings, "password", "password_file", "password_ref")
    authorization = settings.below("authorization")
    exclusive(authorization, findings, "credentials", "credentials_file", "credentials_ref")
    kind = authorization.text("type")
    if kind is not None and kind.strip().lower() == "basic":
        at = authorization.place("type")
        findings.error(at, WORD, 'the type of "authorization" cannot be basic', 'use "basic_auth"')
    if settings.has("oauth2"):
        oauth = settings.below("oauth2")
        require(oauth, findings, "client_id")
        require(oauth, findings, "token_url")
        if oauth.text("grant_type") != _JWT:
            exclusive(oauth, findings, "client_secret", "client_secret_file", "client_secret_ref")
