"""Extensions: their `Validate()`; the Collector's own `validate` never builds them.

Whether a directory or file exists is a matter of the agent's machine, so nothing is said about it.
"""

from __future__ import annotations

import re

from gitsync.collector.findings import Findings
from gitsync.collector.rules import Rules
from gitsync.collector.rules.demands import (
    AT_START,
    EMPTY,
    EXCLUSIVE,
    MISSING,
    PATH,
    RANGE,
    REFUSED,
    TOGETHER,
    TWICE,
    WORD,
    any_of,
    exclusive,
    given,
    not_negative,
    one_of,
    positive,
    require,
    whole,
)
from gitsync.collector.settings import Settings
from gitsync.wording import quoted

_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_SOURCES = ("from_context", "from_attribute", "value", "value_file")
_OLD_PROVIDER = ("issuer_url", "audience", "ignore_audience", "issuer_ca_path", "username_claim", "groups_claim")
"""Settings of one provider, written beside the list."""
_OCTAL = re.compile(r"[-+]?[0-7]+")
_UUID = re.compile(
    r"(urn:uuid:)?[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}",
    re.IGNORECASE,
)
_BRACED = re.compile(r"\{.{36}\}")
_ULID_LENGTH = 26
_MIB = 1 << 20


def check_basicauth(settings: Settings, findings: Findings) -> None:
    """For servers or for clients, not for both (extension/basicauthextension/config.go `Validate`)."""
    both = [key for key in ("htpasswd", "client_auth") if settings.has(key)]
    if len(both) == 2:
        message = '"htpasswd" and "client_auth" exclude each other'
        findings.error(settings.key_place("client_auth"), EXCLUSIVE, message, "use two extensions")
    elif not both:
        message = '"htpasswd" or "client_auth" must be set'
        findings.error(settings.place(), TOGETHER, message, "htpasswd for receivers, client_auth for exporters")


def check_bearertoken(settings: Settings, findings: Findings) -> None:
    """A token, several, or a file (extension/bearertokenauthextension/config.go `Validate`)."""
    any_of(settings, findings, "token", "tokens", "filename")
    exclusive(settings, findings, "token", "tokens")


def check_oauth2(settings: Settings, findings: Findings) -> None:
    """Who asks, with what, and where (extension/oauth2clientauthextension/config.go `Validate`)."""
    any_of(settings, findings, "client_id", "client_id_file")
    if settings.text("grant_type") == _JWT:
        any_of(settings, findings, "client_certificate_key", "client_certificate_key_file")
    elif settings.text("grant_type") is not None:
        any_of(settings, findings, "client_secret", "client_secret_file")
    require(settings, findings, "token_url", hint="as in https://auth.example/oauth2/token")


def check_oidc(settings: Settings, findings: Findings) -> None:
    """Issuers with audiences, none twice (extension/oidcauthextension/config.go `Validate`)."""
    providers = list(settings.items("providers"))
    if any(given(settings, key) is not False for key in _OLD_PROVIDER):
        providers.insert(0, settings)
    seen: set[str] = set()
    for provider in providers:
        if len(providers) > 1 and provider.flag("ignore_issuer"):
            message = '"ignore_issuer" is for a single provider'
            findings.error(provider.place("ignore_issuer"), EXCLUSIVE, message, "remove it, or the other providers")
        issuer = provider.text("issuer_url")
        if issuer is not None and issuer in seen:
            findings.error(provider.place("issuer_url"), TWICE, f"the issuer {quoted(issuer)} is given twice")
            continue
        seen.add(issuer or "")
        if given(provider, "audience") is False and provider.flag("ignore_audience") is False:
            findings.error(
                provider.place("audience"), MISSING, '"audience" must be set', "or set ignore_audience: true"
            )
        require(provider, findings, "issuer_url")


def check_headers(settings: Settings, findings: Findings) -> None:
    """Headers with a key and one source each (extension/headerssetterextension/config.go `Validate`)."""
    require(settings, findings, "headers", hint="at least one, with key and value", code=EMPTY)
    for header in settings.items("headers"):
        require(header, findings, "key")
        action = header.text("action")
        if action is None or action == "delete":
            continue
        sources = [key for key in _SOURCES if header.has(key)]
        if not sources:
            findings.error(header.place(), TOGETHER, f"a header needs one of {', '.join(_SOURCES)}")
        elif len(sources) > 1:
            message = " and ".join(f'"{key}"' for key in sources)
            findings.error(
                header.key_place(sources[-1]), EXCLUSIVE, f"{message} exclude each other", "keep one of them"
            )


def check_health(settings: Settings, findings: Findings) -> None:
    """The new form is behind a feature gate (extension/healthcheckextension/config.go `Validate`)."""
    for key in ("http", "grpc"):
        if settings.has(key):
            message = f'"{key}" of health_check needs the feature gate extension.healthcheck.useComponentStatus'
            findings.error(settings.key_place(key), REFUSED, message, 'use "endpoint", or the healthcheckv2 extension')
            return


def check_health_address(settings: Settings, findings: Findings) -> None:
    """An address and a path (contrib's internal/healthcheck/config.go `Validate`)."""
    if settings.has("endpoint") or settings.is_nulled("endpoint"):
        require(settings, findings, "endpoint", hint="as in localhost:13133")
    path = settings.text("path", default="/")
    if path is not None and not path.startswith("/"):
        findings.error(settings.place("path"), PATH, '"path" must begin with "/"')


def check_zpages(settings: Settings, findings: Findings) -> None:
    """An address (extension/zpagesextension/config.go `Validate`)."""
    if settings.has("endpoint") or settings.is_nulled("endpoint"):
        require(settings, findings, "endpoint", hint="as in localhost:55679")


def check_file_storage(settings: Settings, findings: Findings) -> None:
    """Sizes, thresholds, permissions (extension/storage/filestorage/config.go `Validate`)."""
    not_negative(settings, findings, "compaction", "max_transaction_size", duration=False)
    not_negative(settings, findings, "max_size", duration=False)
    if settings.flag("compaction", "on_rebound"):
        positive(settings, findings, "compaction", "check_interval")
        room = whole(settings, "max_size")
        for key in ("rebound_needed_threshold_mib", "rebound_trigger_threshold_mib"):
            size = whole(settings, "compaction", key)
            if room is not None and room > 0 and size is not None and size * _MIB > room:
                findings.error(settings.place("compaction", key), RANGE, f'"{key}" must not be above "max_size"')
    text = settings.text("directory_permissions", default="0750")
    if not settings.flag("create_directory") or text is None:
        return
    if not _OCTAL.fullmatch(text) or len(text) > 10:
        message = f"{quoted(text)} is no octal number"
        findings.error(settings.place("directory_permissions"), WORD, message, 'as in "0750"')
    elif not 0 <= int(text, 8) <= 0o777:
        message = f"{quoted(text)} has bits that are no permissions"
        findings.error(settings.place("directory_permissions"), RANGE, message, 'at most "0777"')


def check_opamp(settings: Settings, findings: Findings) -> None:
    """One way to the server, an id (extension/opampextension/config.go `Validate`)."""
    if settings.flag("capabilities", "accepts_restart_command"):
        message = '"accepts_restart_command" needs the feature gate extension.opampextension.RemoteRestarts'
        findings.error(settings.place("capabilities", "accepts_restart_command"), REFUSED, message)
    ways = [key for key in ("ws", "http") if settings.has("server", key)]
    if not ways:
        hint = "as in ws: {endpoint: wss://server:4320/v1/opamp}"
        findings.error(settings.key_place("server"), TOGETHER, 'the server needs "ws" or "http"', hint)
    elif len(ways) == 2:
        message = '"ws" and "http" exclude each other'
        findings.error(settings.key_place("server", "http"), EXCLUSIVE, message, "keep one of them")
    else:
        require(settings, findings, "server", ways[0], "endpoint", hint="the URL of the server")
        not_negative(settings, findings, "server", "http", "polling_interval")
    uid = settings.text("instance_uid")
    if uid and not _UUID.fullmatch(uid) and not _BRACED.fullmatch(uid) and len(uid) != _ULID_LENGTH:
        message = f"{quoted(uid)} is neither a UUID nor a ULID"
        findings.error(settings.place("instance_uid"), WORD, message, "remove it: the agent makes one")


def check_sigv4(settings: Settings, findings: Findings) -> None:
    """A role for a token of an identity (extension/sigv4authextension/config.go `Validate`)."""
    if given(settings, "assume_role", "web_identity_token_file") and given(settings, "assume_role", "arn") is False:
        at = settings.key_place("assume_role", "web_identity_token_file")
        findings.error(at, TOGETHER, '"web_identity_token_file" needs an "arn"')


def check_k8s_observer(settings: Settings, findings: Findings) -> None:
    """Something to observe (extension/observer/k8sobserver/config.go `Validate`)."""
    flags = [
        settings.flag("observe_pods", default=True),
        *(settings.flag(f"observe_{kind}") for kind in ("nodes", "services", "ingresses")),
    ]
    if all(flag is False for flag in flags):
        message = "nothing is observed"
        findings.error(settings.place("observe_pods"), TOGETHER, message, "set observe_pods: true")


def check_otlp_encoding(settings: Settings, findings: Findings) -> None:
    """A form of OTLP (extension/encoding/otlpencodingextension/config.go `Validate`)."""
    if settings.has("protocol") or settings.is_nulled("protocol"):
        one_of(settings, findings, ("otlp_proto", "otlp_json"), "protocol")


def check_remote_sampling(settings: Settings, findings: Findings) -> None:
    """One source (extension/jaegerremotesampling/config.go `Validate`)."""
    file, remote = given(settings, "source", "file"), settings.has("source", "remote")
    if file and remote:
        message = '"file" and "remote" exclude each other'
        findings.error(settings.key_place("source", "remote"), EXCLUSIVE, message, "keep one of them")
    elif file is False and not remote:
        findings.error(settings.key_place("source"), TOGETHER, 'the source needs a "file" or a "remote"')


def check_leader(settings: Settings, findings: Findings) -> None:
    """A lease (extension/k8sleaderelector/config.go `Validate`)."""
    require(settings, findings, "lease_name")
    require(settings, findings, "lease_namespace")


def check_forwarder(settings: Settings, findings: Findings) -> None:
    """Where to send (extension/httpforwarderextension)."""
    if given(settings, "egress", "endpoint") is False:
        message = '"egress::endpoint" is not set, requests go nowhere'
        findings.warning(settings.key_place("egress"), AT_START, message, "as in http://target")


VALIDATE: Rules = {
    "extension/basicauth": (check_basicauth,),
    "extension/bearertokenauth": (check_bearertoken,),
    "extension/file_storage": (check_file_storage,),
    "extension/headers_setter": (check_headers,),
    "extension/health_check": (check_health, check_health_address),
    "extension/http_forwarder": (check_forwarder,),
    "extension/jaegerremotesampling": (check_remote_sampling,),
    "extension/k8s_leader_elector": (check_leader,),
    "extension/k8s_observer": (check_k8s_observer,),
    "extension/oauth2client": (check_oauth2,),
    "extension/oidc": (check_oidc,),
    "extension/opamp": (check_opamp,),
    "extension/otlp_encoding": (check_otlp_encoding,),
    "extension/sigv4auth": (check_sigv4,),
    "extension/zpages": (check_zpages,),
}
