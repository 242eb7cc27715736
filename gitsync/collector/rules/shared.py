"""Types of the Collector's core that many components share: HTTP, gRPC, TLS, retries, queues, scrape intervals.

A default that the schemas do not tell is never judged: ranges are checked for what is written.
"""

from __future__ import annotations

import re

from gitsync.collector.findings import Findings
from gitsync.collector.node import Sequence
from gitsync.collector.rules import Rules
from gitsync.collector.rules.addresses import Refusal, Url, parse_url, split_host_port
from gitsync.collector.rules.demands import (
    ADDRESS,
    AT_START,
    PATH,
    RANGE,
    REFUSED,
    TOGETHER,
    TWICE,
    WORD,
    exclusive,
    given,
    not_negative,
    positive,
    switched_on,
    whole,
)
from gitsync.collector.settings import Settings
from gitsync.wording import did_you_mean, quoted

_NUMBER = re.compile(r"[-+]?[0-9]{1,18}")
_TLS_VERSIONS = ("1.0", "1.1", "1.2", "1.3")
_CURVES = ("P256", "P384", "P521", "X25519", "X25519MLKEM768")
_BALANCERS = frozenset(
    {
        "grpclb",
        "least_request_experimental",
        "outlier_detection_experimental",
        "pick_first",
        "pick_first_leaf",
        "random_subsetting_experimental",
        "ring_hash_experimental",
        "rls_experimental",
        "round_robin",
        "weighted_round_robin",
        "weighted_target_experimental",
    }
)
"""Those that gRPC may have; which of them a Collector has depends on what it was built with."""
_ANY_SCHEME = (0, 150, 0)
"""Since about then gRPC endpoints may have any scheme (`passthrough:///host:port`)."""
_LEVELS = frozenset({-2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9})
_LEVELLED = ("gzip", "zlib", "deflate")


def check_tls(settings: Settings, findings: Findings) -> None:
    """Files or PEM texts, a certificate with its key, versions (config/configtls/configtls.go `Config.Validate`)."""
    for kind in ("ca", "cert", "key"):
        exclusive(settings, findings, f"{kind}_file", f"{kind}_pem")
    certificate, key = _either(settings, "cert_file", "cert_pem"), _either(settings, "key_file", "key_pem")
    if certificate is True and key is False:
        at = settings.key_place("cert_file" if settings.has("cert_file") else "cert_pem")
        findings.error(at, TOGETHER, "the certificate has no key", "add key_file or key_pem")
    elif key is True and certificate is False:
        at = settings.key_place("key_file" if settings.has("key_file") else "key_pem")
        findings.error(at, TOGETHER, "the key has no certificate", "add cert_file or cert_pem")
    least = _tls_version(settings, findings, "min_version", "1.2")
    most = _tls_version(settings, findings, "max_version", _TLS_VERSIONS[-1])
    if least is not None and most is not None and most < least:
        what = settings.text("min_version") or "1.2"
        at = settings.place("max_version" if settings.has("max_version") else "min_version")
        findings.error(
            at, RANGE, f'"max_version" is lower than the lowest allowed version, {what}', "set min_version too"
        )


def check_tls_start(settings: Settings, findings: Findings) -> None:
    """Curves that Go does not have are found when the connection is made (configtls.go `loadTLSConfig`)."""
    for node in settings.texts("curve_preferences") or ():
        if node.text not in _CURVES:
            hint = did_you_mean(node.text, _CURVES) or f"known: {', '.join(_CURVES)}"
            findings.warning(node.origin, AT_START, f"there is no curve {quoted(node.text)}", hint)


def check_tls_server(settings: Settings, findings: Findings) -> None:
    """A server needs a certificate and a key (configtls.go `ServerConfig.Validate`; that of `Config` runs as well)."""
    if _either(settings, "cert_file", "cert_pem") is False and _either(settings, "key_file", "key_pem") is False:
        hint = "add cert_file and key_file, or cert_pem and key_pem"
        findings.error(settings.place(), TOGETHER, "a server with TLS needs a certificate and a key", hint)


def check_grpc_client(settings: Settings, findings: Findings) -> None:
    """Endpoint with a port, a balancer that exists (config/configgrpc/configgrpc.go `ClientConfig.Validate`)."""
    endpoint = settings.text("endpoint")
    if endpoint is not None and endpoint.startswith("unix://"):
        if endpoint == "unix://":
            findings.error(
                settings.place("endpoint"), ADDRESS, "the path of the socket is missing", "unix:///run/x.sock"
            )
        return  # the rest is not checked then
    if endpoint:
        _check_target(settings, findings, _grpc_target(endpoint, settings.version))
    balancer = settings.text("balancer_name")
    if balancer and balancer.lower() not in _BALANCERS:
        hint = did_you_mean(balancer, ("round_robin", "pick_first")) or "round_robin or pick_first"
        findings.error(settings.place("balancer_name"), WORD, f"there is no balancer {quoted(balancer)}", hint)


def check_grpc_server(settings: Settings, findings: Findings) -> None:
    """Sizes of messages and buffers (configgrpc.go `ServerConfig.Validate`)."""
    size = whole(settings, "max_recv_msg_size_mib")
    if size is not None and size << 20 & 1 << 63:
        message = '"max_recv_msg_size_mib" must be between 1 and 8796093022207'
        findings.error(settings.place("max_recv_msg_size_mib"), RANGE, message)
    not_negative(settings, findings, "read_buffer_size", duration=False)
    not_negative(settings, findings, "write_buffer_size", duration=False)


def check_compression_level(settings: Settings, findings: Findings) -> None:
    """The level must fit the compression (config/configcompression/compressiontype.go `ValidateParams`)."""
    compression, level = settings.text("compression"), whole(settings, "compression_params", "level")
    if level is None or compression in (None, "", "none", "zstd"):
        return
    if level not in _LEVELS if compression in _LEVELLED else level:
        hint = "-2 to 9" if compression in _LEVELLED else f"{compression} has no levels"
        message = f"{level} is no compression level of {compression}"
        findings.error(settings.place("compression_params", "level"), RANGE, message, hint)


def check_proxy(settings: Settings, findings: Findings) -> None:
    """A proxy that is no URL is found when the client is made (config/confighttp/client.go `ToClient`)."""
    proxy = settings.text("proxy_url")
    parts = parse_url(proxy, request=True) if proxy else Url()
    if isinstance(parts, Refusal):
        message = f"{quoted(proxy or '')} is not a URL: {parts.why}"
        findings.warning(settings.place("proxy_url"), AT_START, message, "the Collector fails at its start")


def check_headers(settings: Settings, findings: Findings) -> None:
    """No header twice, when they are written as a list (config/configopaque/maplist.go `Validate`)."""
    for key in ("headers", "response_headers"):
        seen: set[str] = set()
        for header in settings.items(key) if isinstance(settings.node(key), Sequence) else ():
            name = header.text("name")
            if name is None:
                continue
            if name in seen:
                findings.error(header.place("name"), TWICE, f"the header {quoted(name)} is given twice")
            seen.add(name)


def check_listener(settings: Settings, findings: Findings) -> None:
    """An address that a server cannot listen on is found at its start (net.Listen); Unix sockets have paths."""
    endpoint, transport = settings.text("endpoint"), settings.text("transport")
    if not endpoint or transport is None or transport not in ("", "tcp", "tcp4", "tcp6"):
        return
    parts = split_host_port(endpoint)
    if isinstance(parts, Refusal):
        message = f"nothing can listen on {quoted(endpoint)}: {parts.why}"
        findings.warning(settings.place("endpoint"), AT_START, message, "write host:port, as in 0.0.0.0:4317")
    elif parts[1].isdecimal() and int(parts[1]) > 65535:
        message = f"nothing can listen on port {quoted(parts[1])}"
        findings.warning(settings.place("endpoint"), AT_START, message, "ports end at 65535")


def check_address(settings: Settings, findings: Findings) -> None:
    """A transport, and the path of a named pipe (config/confignet/confignet.go `AddrConfig.Validate`)."""
    transport = settings.text("transport")
    # What a part of a component has by default may be made by code; a whole component's defaults are all known.
    if transport == "" and (not settings.path or settings.here.entry("transport") is not None):
        findings.error(settings.place("transport"), WORD, '"transport" must not be empty', "tcp, udp or unix")
    endpoint = settings.text("endpoint")
    if transport == "npipe" and endpoint is not None:
        why = _pipe_problem(endpoint)
        if why:
            findings.error(settings.place("endpoint"), PATH, f"{quoted(endpoint)} is not a named pipe: {why}")


def check_retry(settings: Settings, findings: Findings) -> None:
    """Intervals and their order (config/configretry/backoff.go `Validate`; until 0.149 only when enabled)."""
    if settings.version < (0, 150, 0) and settings.flag("enabled") is not True:
        return
    for key in ("initial_interval", "max_interval", "max_elapsed_time"):
        not_negative(settings, findings, key)
    not_negative(settings, findings, "multiplier", duration=False)
    factor = settings.number("randomization_factor")
    if factor is not None and not 0 <= factor <= 1:
        findings.error(settings.place("randomization_factor"), RANGE, '"randomization_factor" must be between 0 and 1')
    total = settings.nanoseconds("max_elapsed_time")
    for key in ("initial_interval", "max_interval"):
        part = settings.nanoseconds(key)
        if total is not None and part is not None and 0 < total < part:
            at = settings.place("max_elapsed_time" if settings.has("max_elapsed_time") else key)
            findings.error(at, RANGE, f'"max_elapsed_time" must not be shorter than "{key}"', "0 means without end")
            return


def check_timeout(settings: Settings, findings: Findings) -> None:
    """No negative timeout (exporter/exporterhelper/internal/timeout_sender.go `Validate`)."""
    not_negative(settings, findings, "timeout")


def check_queue(settings: Settings, findings: Findings) -> None:
    """Sizes, and no waiting with a storage (exporterhelper/internal/queuebatch/config.go `Config.Validate`)."""
    positive(settings, findings, "num_consumers", duration=False)
    positive(settings, findings, "queue_size", duration=False)
    if settings.has("storage") and settings.flag("wait_for_result"):
        message = '"wait_for_result" is not possible with a "storage"'
        findings.error(settings.place("wait_for_result"), REFUSED, message, "remove one of them")
    batch = settings.below("batch")
    if switched_on(settings, "batch") is not True:
        return
    sizer = settings.text("sizer", default="requests")
    inherits = settings.has("sizer") and settings.has("batch") and not batch.has("sizer")
    batch_sizer = sizer if inherits else batch.text("sizer", default="items")
    least, room = whole(batch, "min_size"), whole(settings, "queue_size")
    if sizer and sizer == batch_sizer and least is not None and room and least > room:
        message = '"min_size" of the batch must not be larger than "queue_size"'
        findings.error(settings.place("batch", "min_size"), RANGE, message, f"{least} is more than {room}")
    if sizer == "requests" and settings.has("sizer") and settings.has("batch") and not batch.has("sizer"):
        message = '"batch" counts items or bytes, not requests as the queue'
        findings.error(settings.key_place("batch"), WORD, message, "set sizer: items in the batch")


def check_batch(settings: Settings, findings: Findings) -> None:
    """Sizes of a batch in a queue (queuebatch/config.go `BatchConfig.Validate`)."""
    if settings.text("sizer") == "requests":
        message = "a batch counts items or bytes, not requests"
        findings.error(settings.place("sizer"), WORD, message, "items or bytes")
    positive(settings, findings, "flush_timeout")
    not_negative(settings, findings, "min_size", duration=False)
    not_negative(settings, findings, "max_size", duration=False)
    least, most = whole(settings, "min_size"), whole(settings, "max_size")
    if least is not None and most is not None and 0 < most < least:
        hint = f'"min_size" is {least}' + ("" if settings.has("min_size") else " by default")
        at = settings.place("max_size" if settings.has("max_size") else "min_size")
        findings.error(at, RANGE, '"max_size" must not be smaller than "min_size"', hint)


def check_partition(settings: Settings, findings: Findings) -> None:
    """No metadata key twice, whatever its case (queuebatch/config.go `PartitionConfig.Validate`)."""
    seen: set[str] = set()
    for node in settings.texts("metadata_keys") or ():
        if node.text.lower() in seen:
            findings.error(
                node.origin, TWICE, f"the metadata key {quoted(node.text)} is given twice", "case does not count"
            )
        seen.add(node.text.lower())


def check_scrape(settings: Settings, findings: Findings) -> None:
    """Interval and timeout of a scraper (scraper/scraperhelper/internal/controller `ControllerConfig.Validate`)."""
    positive(settings, findings, "collection_interval")
    not_negative(settings, findings, "timeout")


TYPES: Rules = {
    "configgrpc.ClientConfig": (check_grpc_client, check_headers),
    "configgrpc.ServerConfig": (check_grpc_server, check_address, check_listener),
    "confighttp.ClientConfig": (check_compression_level, check_headers, check_proxy),
    "confighttp.ServerConfig": (check_address, check_headers, check_listener),
    "confignet.AddrConfig": (check_address,),
    "configretry.BackOffConfig": (check_retry,),
    "configtls.ClientConfig": (check_tls, check_tls_start),
    "configtls.Config": (check_tls, check_tls_start),
    "configtls.ServerConfig": (check_tls, check_tls_server, check_tls_start),
    "exporterhelper.queuebatch.BatchConfig": (check_batch,),
    "exporterhelper.queuebatch.Config": (check_queue,),
    "exporterhelper.queuebatch.PartitionConfig": (check_partition,),
    "internal.TimeoutConfig": (check_timeout,),
    "scraperhelper.controller.ControllerConfig": (check_scrape,),
}


def _either(settings: Settings, *keys: str) -> bool | None:
    """Whether one of some settings is there; None when only the agent knows."""
    answers = [given(settings, key) for key in keys]
    return True if True in answers else None if None in answers else False


def _tls_version(settings: Settings, findings: Findings, key: str, default: str) -> int | None:
    text = settings.text(key)
    if text is None:
        return None
    if text and text not in _TLS_VERSIONS:
        hint = "allowed: " + ", ".join(f'"{one}"' for one in _TLS_VERSIONS)
        findings.error(settings.place(key), WORD, f'"{key}" cannot be {quoted(text)}', hint)
        return None
    return _TLS_VERSIONS.index(text or default)


def _grpc_target(endpoint: str, version: tuple[int, int, int]) -> str:
    """The address in an endpoint, without scheme and authority (configgrpc.go `sanitizedEndpoint`)."""
    for scheme in ("http://", "https://"):
        if endpoint.startswith(scheme):
            return endpoint.removeprefix(scheme)
    if "://" not in endpoint:
        return endpoint
    if version < _ANY_SCHEME:
        known = endpoint.startswith("dns://")
        return endpoint.removeprefix("dns://").removeprefix("/") if known else endpoint
    parts = parse_url(endpoint)
    return endpoint if isinstance(parts, Refusal) else parts.path.removeprefix("/")


def _check_target(settings: Settings, findings: Findings, target: str) -> None:
    if not target:
        return
    shown, at = quoted(settings.text("endpoint") or target), settings.place("endpoint")
    parts = split_host_port(target)
    if isinstance(parts, Refusal):
        hint = "an endpoint of gRPC is host:port, without a path" if "/" in target else "write host:port"
        findings.error(at, ADDRESS, f"{shown} is not an address of host and port: {parts.why}", hint)
    elif not _NUMBER.fullmatch(parts[1]):
        hint = "an endpoint of gRPC is host:port, without a path" if "/" in parts[1] else "the port is a number"
        findings.error(at, ADDRESS, f"{shown} has no valid port", hint)


def _pipe_problem(path: str) -> str:
    """Why a path is none of a Windows named pipe (confignet.go `validateNpipePath`); empty when it is one."""
    if len(path.encode()) > 256:
        return "it is longer than 256 characters"
    if not path.startswith("\\\\"):
        return 'it must start with "\\\\"'
    server, pipe, name = path[2:].lower().partition("\\pipe\\")
    if not pipe:
        return 'it has no "\\pipe\\"'
    if not server or not name:
        return "the server or the name of the pipe is missing"
    return "its name has a backslash" if "\\" in name else ""
