"""The settings of the agents' port reach it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from gitsync.app import _listener_options
from gitsync.server import ListenerOptions, TlsOptions
from gitsync.settings import Settings


def test_without_settings_the_port_has_its_own_defaults() -> None:
    assert _listener_options(Settings()) == replace(ListenerOptions(), host="0.0.0.0", port=4320)


def test_every_limit_that_is_a_setting_reaches_the_port() -> None:
    limits = {
        "path": "/agents",
        "max_connections": 7,
        "connect_rate": 8.5,
        "connect_burst": 9,
        "max_handshakes": 10,
        "max_message_bytes": 2048,
        "max_outgoing_bytes": 4096,
        "max_bytes_in_flight": 2 << 20,
        "compression": False,
    }
    options = _listener_options(Settings.model_validate({"server": {"agents": limits}}))
    assert {name: getattr(options, name) for name in limits} == limits


def test_certificates_reach_the_port_only_when_tls_is_on() -> None:
    files = {"cert_file": "c.pem", "key_file": "k.pem", "client_ca_file": "a.pem"}
    on = _listener_options(Settings.model_validate({"server": {"tls": {"enabled": True, **files}}}))
    off = _listener_options(Settings.model_validate({"server": {"tls": files}}))
    assert on.tls == TlsOptions(Path("c.pem"), Path("k.pem"), Path("a.pem"), "require")
    assert off.tls is None
