"""Settings: one file, the environment over it, flags on top; errors that say where, what and what was meant."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from gitsync.collector.document import parse_yaml, to_python
from gitsync.errors import SettingsError
from gitsync.settings import (
    PREFIX,
    SHORT_NAMES,
    Settings,
    default_data_dir,
    load_settings,
    parse_address,
    parse_duration,
    show_duration,
)
from tests.support import settings_docs

AS_IN_THE_DOCUMENTS = """\
server:
  listen:
    grpc: "0.0.0.0:4320"
    http: "0.0.0.0:8080"
  tls:
    enabled: true
    cert_file: /etc/opamp/server.pem
    key_file: /etc/opamp/server-key.pem
    client_ca_file: /etc/opamp/ca.pem
    client_auth: require_and_verify
config_store:
  type: git
  git:
    repository: git@git.example.com:org/otel-configs.git
    branch: main
    sync_interval: 1m
    auth:
      type: ssh_key
      ssh_key_file: /etc/opamp/ssh_key
database:
  type: postgresql
  dsn: postgresql://opamp:secret@db/opamp
package_registry:
  type: s3
  s3:
    bucket: packages
    region: us-west-2
    endpoint: https://s3.example.com
auth:
  type: jwt
  jwt:
    signing_key_file: /etc/opamp/jwt_signing_key
    expiration: 24h
"""


def load(
    text: str | None = None,
    tmp_path: Path | None = None,
    environment: Mapping[str, str] | None = None,
    **overrides: Any,
) -> Settings:
    path = None
    if text is not None:
        assert tmp_path is not None
        path = tmp_path / "gitsync.yaml"
        path.write_text(text)
    return load_settings(path, environment or {}, overrides)


def refusal(*arguments: Any, **named: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(*arguments, **named)
    return str(caught.value)


# ── What is accepted ────────────────────────────────────────────────────────────────────────────────────────


def test_no_file_is_needed() -> None:
    settings = load()

    assert (settings.server.listen.agents, settings.server.listen.http) == ("0.0.0.0:4320", "0.0.0.0:8080")
    assert settings.config_store.git.branch == "main"
    assert settings.config_store.git.sync_interval == timedelta(minutes=1)
    assert settings.database.type == "sqlite"


def test_the_documents_file_is_accepted_as_it_is_written(tmp_path: Path) -> None:
    settings = load(AS_IN_THE_DOCUMENTS, tmp_path)

    assert settings.server.listen.agents == "0.0.0.0:4320"
    assert settings.server.tls.client_auth == "require_and_verify"
    assert settings.config_store.git.auth.known_hosts_file == Path("/etc/opamp/known_hosts")
    assert settings.database.dsn == "postgresql://opamp:secret@db/opamp"
    assert settings.package_registry is not None
    assert settings.package_registry.s3.bucket == "packages"
    assert settings.auth is not None
    assert settings.auth.jwt.expiration == timedelta(hours=24)


def test_sections_may_be_written_below_server(tmp_path: Path) -> None:
    assert load(below_server(AS_IN_THE_DOCUMENTS), tmp_path) == load(AS_IN_THE_DOCUMENTS, tmp_path)


def test_a_section_in_both_places_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="database stands at the top and below server; keep one"):
        load("server: {database: {type: sqlite}}\ndatabase: {type: sqlite}\n", tmp_path)


def test_an_error_below_server_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"gitsync.yaml:3:5: config_store.typ: unknown key; did you mean \"type\"\?"
    ):
        load("server:\n  config_store:\n    typ: git\n", tmp_path)


@pytest.mark.parametrize("key", ["signing_key_file", "key_file", "signing_key"])
def test_the_key_of_jwt_may_have_each_of_its_names(tmp_path: Path, key: str) -> None:
    settings = load(f"auth: {{type: jwt, jwt: {{{key}: /etc/opamp/jwt_signing_key}}}}", tmp_path)

    assert settings.auth is not None
    assert getattr(settings.auth.jwt, key) == Path("/etc/opamp/jwt_signing_key")


def test_what_is_not_built_yet_is_said(tmp_path: Path) -> None:
    notices = " ".join(load(AS_IN_THE_DOCUMENTS, tmp_path).notices())

    assert "gRPC is not served" in notices
    assert "packages are not offered yet" in notices
    assert "auth is understood, but not built yet" in notices
    assert "no TLS" not in notices


def test_a_start_without_surprises_has_no_notices() -> None:
    settings = load(server={"listen": {"opamp": "127.0.0.1:4320"}}, config_store={"git": {"repository": "/srv/config"}})

    assert settings.notices() == ()


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"server": {"listen": {"opamp": "0.0.0.0:4320"}}}, "the agents' port has no TLS"),
        ({"server": {"tls": {"cert_file": "/c"}}}, "enabled is false"),
        ({}, "there is no config repository"),
        ({"config_store": {"git": {"repository": "/r", "allow_rewrite": True}}}, "allow_rewrite is on"),
    ],
)
def test_a_notice_says_what_a_setting_does_not_do(settings: dict[str, Any], said: str) -> None:
    assert said in " ".join(load(**settings).notices())


def test_a_section_whose_keys_are_all_commented_out_is_not_set(tmp_path: Path) -> None:
    settings = load("server:\n  tls:\n    # enabled: true\nauth:\n", tmp_path)

    assert not settings.server.tls.enabled
    assert settings.auth is None


def test_an_empty_file_sets_nothing(tmp_path: Path) -> None:
    assert load("", tmp_path) == load()


# ── Where values come from ──────────────────────────────────────────────────────────────────────────────────


def test_flags_win_over_the_environment_and_the_environment_over_the_file(tmp_path: Path) -> None:
    text = "log: {level: debug, format: json}\nconfig_store: {git: {branch: from-file}}\n"
    environment = {"GITSYNC_LOG__LEVEL": "warning", "GITSYNC_CONFIG_STORE__GIT__BRANCH": "from-environment"}

    settings = load(text, tmp_path, environment, log={"level": "error", "format": None})

    assert (settings.log.level, settings.log.format) == ("error", "json")
    assert settings.config_store.git.branch == "from-environment"


def test_a_flag_that_was_not_given_changes_nothing(tmp_path: Path) -> None:
    settings = load("log: {level: debug}", tmp_path, {}, log={"level": None}, data_dir=None)

    assert settings.log.level == "debug"


def test_numbers_and_switches_of_the_environment_are_read_as_such() -> None:
    settings = load(
        environment={
            "GITSYNC_SERVER__AGENTS__MAX_CONNECTIONS": "10",
            "GITSYNC_CONFIG_STORE__GIT__ALLOW_HTTP": "true",
            "GITSYNC_RETENTION__SILENT_AGENTS": "48h",
        }
    )

    assert settings.server.agents.max_connections == 10
    assert settings.config_store.git.allow_http is True
    assert settings.retention.silent_agents == timedelta(hours=48)


def test_the_data_directory_and_the_webhook_secret_have_short_names() -> None:
    settings = load(environment={"GITSYNC_DATA_DIR": "/srv/state", "GITSYNC_WEBHOOK_SECRET_FILE": "/run/secret"})

    assert settings.data_dir == Path("/srv/state")
    assert settings.webhooks.secret_file == Path("/run/secret")


@pytest.mark.parametrize(
    "name",
    [
        "GITSYNC_SERVER",
        "GITSYNC_TOKEN",
        "GITSYNC_TOKEN_FILE",
        "GITSYNC_SUPERVISOR",
        # What Kubernetes makes for a Service called gitsync.
        "GITSYNC_PORT",
        "GITSYNC_SERVICE_HOST",
        "GITSYNC_PORT_4320_TCP_ADDR",
    ],
)
def test_variables_of_others_do_not_disturb(name: str) -> None:
    assert load(environment={name: "tcp://10.0.0.1:4320"}) == load()


def test_an_empty_variable_counts_as_not_set() -> None:
    assert load(environment={"GITSYNC_DATABASE__DSN": ""}).database.dsn is None


def test_variables_that_contradict_each_other_are_an_error() -> None:
    text = refusal(environment={"GITSYNC_LOG__LEVEL": "debug", "GITSYNC_LOG__LEVEL__X": "1"})

    assert "GITSYNC_LOG__LEVEL__X" in text


def test_the_file_may_use_the_environment(tmp_path: Path) -> None:
    text = "database: {type: postgresql, dsn: 'postgresql://u:${PASSWORD}@${HOST:-localhost}/g'}"

    settings = load(text, tmp_path, {"PASSWORD": "s3cret"})

    assert settings.database.dsn == "postgresql://u:s3cret@localhost/g"


def test_a_variable_that_the_file_needs_must_be_set(tmp_path: Path) -> None:
    assert "${PASSWORD}, which is not set" in refusal("database: {dsn: 'x${PASSWORD}'}", tmp_path)


def test_a_dsn_is_not_shown_when_settings_are_printed() -> None:
    settings = load(database={"type": "postgresql", "dsn": "postgresql://u:s3cret@h/g"})

    assert "s3cret" not in repr(settings)


# ── What is refused, and how it is said ─────────────────────────────────────────────────────────────────────


def test_an_unknown_key_names_its_place_and_the_nearest_key(tmp_path: Path) -> None:
    text = refusal("server:\n  listen:\n    htpp: 0.0.0.0:8080\n", tmp_path)

    assert text == f'{tmp_path}/gitsync.yaml:3:5: server.listen.htpp: unknown key; did you mean "http"?'


def test_an_unknown_key_far_from_all_others_lists_them(tmp_path: Path) -> None:
    assert refusal("log: {zzz: 1}", tmp_path).endswith("log.zzz: unknown key; known are level, format")


def test_an_unknown_key_of_the_environment_names_the_variable() -> None:
    text = refusal(environment={"GITSYNC_SERVER__LISTEN__OPAM": "0.0.0.0:1"})

    assert text == 'GITSYNC_SERVER__LISTEN__OPAM: server.listen.opam: unknown key; did you mean "opamp"?'


def test_a_wrong_flag_is_called_a_flag(tmp_path: Path) -> None:
    text = refusal("log: {level: info}", tmp_path, {"GITSYNC_LOG__LEVEL": "error"}, log={"level": "loud"})

    assert text.startswith("a flag: log.level: Input should be 'debug', 'info', 'warning' or 'error'")


def test_a_wrong_value_never_shows_a_secret(tmp_path: Path) -> None:
    text = refusal("database: {type: mysql, dsn: 'postgresql://u:s3cret@h/g'}", tmp_path)

    assert "database.type" in text
    assert "s3cret" not in text


def test_many_errors_are_cut(tmp_path: Path) -> None:
    text = refusal("\n".join(f"zz{number}: 1" for number in range(8)), tmp_path)

    assert text.count("unknown key") == 5
    assert text.endswith("and 3 more")


def test_a_section_that_is_no_map_says_what_belongs_there(tmp_path: Path) -> None:
    assert refusal("log: loud", tmp_path).endswith("log: must be a map of keys (level, format)")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- a\n", "must be a map of keys, not a list"),
        ("a: {b: [1", "GS01"),
        ("log: {level: info}\nlog: {}\n", "GS0113"),
    ],
)
def test_a_file_that_is_no_settings_file_is_refused_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    refused = refusal(text, tmp_path)

    assert said in refused
    assert "gitsync.yaml:" in refused


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"cannot read the settings .*missing\.yaml: No such file"):
        load_settings(tmp_path / "missing.yaml", {}, {})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"server": {"tls": {"enabled": True}}}, "server.tls: enabled: true needs cert_file and key_file"),
        (
            {"server": {"tls": {"enabled": True, "cert_file": "c", "key_file": "k", "client_auth": "request"}}},
            "client_auth: request needs client_ca_file",
        ),
        ({"server": {"listen": {"opamp": ":1", "grpc": ":2"}}}, "opamp and grpc name the same listener"),
        ({"server": {"listen": {"http": "8080"}}}, "server.listen.http: '8080' is not HOST:PORT"),
        ({"server": {"agents": {"path": "opamp"}}}, "server.agents.path"),
        ({"server": {"agents": {"silence": "0s"}}}, "must be longer than 0s"),
        ({"server": {"agents": {"max_message_bytes": 1 << 30}}}, "must have room for one message"),
        ({"server": {"agents": {"connect_rate": 0}}}, "server.agents.connect_rate"),
        ({"server": {"agents": {"message_rate": 0.5}}}, "message_rate must be at least 1, or 0 for any number"),
        ({"database": {"type": "postgresql"}}, "type: postgresql needs dsn or dsn_file"),
        ({"database": {"type": "postgresql", "dsn": "a", "dsn_file": "b"}}, "not both"),
        ({"database": {"dsn": "postgresql://h/d"}}, "PostgreSQL is type: postgresql"),
        ({"config_store": {"git": {"auth": {"type": "ssh_key"}}}}, "type: ssh_key needs ssh_key_file"),
        ({"config_store": {"git": {"auth": {"type": "token"}}}}, "type: token needs token_file"),
        ({"config_store": {"git": {"auth": {"token_file": "t"}}}}, "token_file is for type: token"),
        (
            {"config_store": {"git": {"auth": {"type": "basic", "password_file": "p"}}}},
            "needs username or username_file",
        ),
        ({"config_store": {"git": {"auth": {"type": "ssh_key", "ssh_key_file": 5}}}}, "ssh_key_file"),
        ({"config_store": {"git": {"sync_interval": 60}}}, "write a duration with its unit"),
        ({"retention": {"commits": 1}}, "retention.commits: Input should be greater than or equal to 50"),
    ],
)
def test_what_cannot_work_is_refused_at_the_start(settings: dict[str, Any], said: str) -> None:
    assert said in refusal(**settings)


def test_a_client_authority_alone_makes_certificates_of_agents_necessary() -> None:
    tls = {"enabled": True, "cert_file": "c", "key_file": "k"}

    assert load(server={"tls": tls}).server.tls.client_auth == "none"
    assert load(server={"tls": {**tls, "client_ca_file": "a"}}).server.tls.client_auth == "require_and_verify"


# ── Durations and addresses ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "duration"),
    [
        ("1m30s", timedelta(seconds=90)),
        ("500ms", timedelta(milliseconds=500)),
        ("14d", timedelta(days=14)),
        ("1.5h", timedelta(minutes=90)),
        (" 2s ", timedelta(seconds=2)),
    ],
)
def test_durations_are_written_as_in_go(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "5", "1 m", "m", "-1s", "1y", "9" * 400 + "d", "99999999999d", True, 3])
def test_what_is_no_duration_is_refused(text: object) -> None:
    assert "sync_interval" in refusal(config_store={"git": {"sync_interval": text}})


@given(st.timedeltas(timedelta(0), timedelta(days=10_000)))
def test_a_shown_duration_reads_back_to_the_millisecond(duration: timedelta) -> None:
    read = parse_duration(show_duration(duration))

    assert abs(read - duration) < timedelta(milliseconds=1, microseconds=10)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:4320", ("127.0.0.1", 4320)),
        (":8080", ("0.0.0.0", 8080)),
        ("[::1]:0", ("::1", 0)),
        ("opamp.example.com:65535", ("opamp.example.com", 65535)),
    ],
)
def test_an_address_is_host_and_port(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "4320", "host:", "host:65536", "::1:80", "http://h:1", "h:1:2", "h:١"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="is not HOST:PORT"):
        parse_address(text)


def test_the_default_data_directory_is_that_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    assert default_data_dir() == Path("/state/gitsync")

    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_data_dir() == Path("/var/lib/gitsync")


# ── What is written about them ──────────────────────────────────────────────────────────────────────────────

RENEW = "run: python -m tests.support.settings_docs"


def test_the_schema_is_that_of_the_model() -> None:
    assert settings_docs.SCHEMA.read_text() == settings_docs.schema_text(), RENEW


def test_the_page_has_every_key_with_its_default_and_its_variable() -> None:
    page = settings_docs.PAGE.read_text()

    assert page == settings_docs.page_text(page), RENEW
    named = set(re.findall(r"^\| `([a-z0-9_.]+)` \|", page, re.MULTILINE))
    assert named == {one.name for one in settings_docs.list_keys()}


def test_every_key_has_a_meaning() -> None:
    assert [one.name for one in settings_docs.list_keys() if not one.field.description] == []


@pytest.mark.parametrize("key", settings_docs.list_keys(), ids=lambda one: one.name)
def test_every_variable_of_the_page_sets_its_key(key: settings_docs.Key) -> None:
    long_name = PREFIX + "__".join(key.path).upper()
    assert SHORT_NAMES.get(key.environment, key.path) == key.path
    assert key.environment in (*SHORT_NAMES, long_name)

    # No key is a map: something inside of it is refused, and the refusal names the key.
    assert f"{long_name}__ZZZ: {key.name}: " in refusal(environment={f"{long_name}__ZZZ": "1"})


def example_of_the_page() -> str:
    found = re.search(r"```yaml\n(.*?)```", settings_docs.PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


def below_server(text: str) -> str:
    """The file with the sections that follow `server` written below it."""
    head, at, rest = text.partition("config_store:")
    return head + "".join(f"  {line}\n" for line in (at + rest).splitlines())


@pytest.mark.parametrize(
    "text",
    [AS_IN_THE_DOCUMENTS, below_server(AS_IN_THE_DOCUMENTS), example_of_the_page()],
    ids=["documents", "below server", "page"],
)
def test_the_schema_and_the_service_accept_the_examples(tmp_path: Path, text: str) -> None:
    schema = json.loads(settings_docs.SCHEMA.read_text())
    node = parse_yaml("example.yaml", text.encode()).node
    assert node is not None

    assert list(Draft202012Validator(schema).iter_errors(to_python(node))) == []
    load(text, tmp_path, {"DATABASE_PASSWORD": "x"})


@pytest.mark.parametrize("text", ["{sever: {}}", "{log: {level: loud}}", "{config_store: {git: {sync_interval: 60}}}"])
def test_the_schema_refuses_what_the_service_refuses(tmp_path: Path, text: str) -> None:
    schema = json.loads(settings_docs.SCHEMA.read_text())
    node = parse_yaml("example.yaml", text.encode()).node
    assert node is not None

    assert list(Draft202012Validator(schema).iter_errors(to_python(node)))
    refusal(text, tmp_path)
