"""The settings as types. The texts below attributes are what the schema and the reference page say about them."""

from __future__ import annotations

import os
from datetime import timedelta
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gitsync.settings.notation import Address, AnyDuration, Duration, parse_address


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", validate_default=False, frozen=True, use_attribute_docstrings=True)


class Listen(_Section):
    """Where the server listens: `HOST:PORT`, `[::1]:PORT`, or `:PORT` for all interfaces; port 0 takes a free one."""

    opamp: Address = "0.0.0.0:4320"
    """For agents: OpAMP over WebSocket and over plain HTTP, on one port."""
    http: Address = "0.0.0.0:8080"
    """For people, tools and probes: REST, `/docs`, webhooks, `/healthz`, `/readyz`, `/metrics`."""
    grpc: Address | None = None
    """Another name of `opamp`. gRPC itself is not served: no OpAMP agent speaks it."""

    @model_validator(mode="after")
    def _one_address(self) -> Listen:
        if self.grpc is not None and "opamp" in self.model_fields_set and self.grpc != self.opamp:
            raise ValueError("opamp and grpc name the same listener; give one of them")
        return self

    @property
    def agents(self) -> str:
        """The address for agents."""
        return self.grpc or self.opamp


class Tls(_Section):
    """TLS of the agents' port."""

    enabled: bool = False
    """Whether agents connect by `wss://` and `https://`."""
    cert_file: Path | None = None
    """Certificate chain of the server, PEM."""
    key_file: Path | None = None
    """Private key of the certificate, PEM."""
    client_ca_file: Path | None = None
    """Authorities that client certificates of agents must come from, PEM."""
    client_auth: Literal["none", "request", "require_and_verify"] = "none"
    """Whether agents must show a certificate. With a `client_ca_file` the default is `require_and_verify`."""

    @model_validator(mode="before")
    @classmethod
    def _default_client_auth(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("client_ca_file") and "client_auth" not in values:
            return {**values, "client_auth": "require_and_verify"}
        return values

    @model_validator(mode="after")
    def _complete(self) -> Tls:
        if self.enabled and (self.cert_file is None or self.key_file is None):
            raise ValueError("enabled: true needs cert_file and key_file")
        if self.enabled and self.client_auth != "none" and self.client_ca_file is None:
            raise ValueError(f"client_auth: {self.client_auth} needs client_ca_file")
        return self


class AgentsSettings(_Section):
    """How patient the server is with agents."""

    path: str = Field(default="/v1/opamp", pattern=r"^/[A-Za-z0-9._~/-]*$")
    """Path of the OpAMP endpoint."""
    max_connections: int = Field(default=15_000, ge=1)
    """Connections at a time; more are told to come back later."""
    connect_rate: float = Field(default=2_000, ge=1)
    """New connections a second, for ever; more are told to come back later. Open ones are not touched."""
    connect_burst: int = Field(default=15_000, ge=1)
    """New connections at once, before `connect_rate` holds: a fleet of this size may come back in one second."""
    max_handshakes: int = Field(default=256, ge=1)
    """TLS handshakes under way at a time; 32 times as many wait for a place, more are dropped."""
    max_message_bytes: int = Field(default=4 << 20, ge=1024)
    """Largest message that is taken from an agent, as it comes and inflated."""
    max_outgoing_bytes: int = Field(default=64 << 20, ge=1024)
    """Largest message that is sent to an agent, before compression; a larger one is not sent, and that is logged."""
    compression: bool = True
    """Whether WebSockets are compressed for agents that offer it (permessage-deflate)."""
    max_bytes_in_flight: int = Field(default=256 << 20, ge=1 << 20)
    """Of all messages that have begun to arrive, together; what would exceed it is told to come back later."""
    message_rate: float = Field(default=50, ge=0)
    """Messages a second of one connection, for ever, and ten times as many at once; each agent behind a proxy adds 2.
    Who sends more is told once, and then not read for a while. 0: any number."""
    answer_timeout: Duration = timedelta(minutes=2)
    """After this time without any answer an offer counts as not answered."""
    silence: Duration = timedelta(minutes=2)
    """An agent that is silent for longer (or for three of its intervals, if that is more) is taken for gone."""
    check_interval: Duration = timedelta(seconds=30)
    """How often the server looks for silent agents and overdue answers."""
    secrets_dir: Path | None = None
    """Directory of the secrets that `connection` in a target.yaml names, one a file; read again when they change."""
    drain: AnyDuration = timedelta(seconds=5)
    """When the server stops: goodbyes to agents are spread over most of this time; it may then take 5 s more to end."""

    @model_validator(mode="after")
    def _agents_can_speak(self) -> AgentsSettings:
        if self.max_bytes_in_flight < self.max_message_bytes:
            raise ValueError("max_bytes_in_flight must have room for one message of max_message_bytes")
        if 0 < self.message_rate < 1:
            raise ValueError("message_rate must be at least 1, or 0 for any number")
        return self


class Server(_Section):
    """Ports and how they are protected."""

    listen: Listen = Listen()
    tls: Tls = Tls()
    agents: AgentsSettings = AgentsSettings()


class GitAuth(_Section):
    """How the server proves itself to the Git host; every file is read again on use."""

    type: Literal["none", "ssh_key", "basic", "token"] = "none"
    """Kind of credential; it says which of the files below are needed."""
    ssh_key_file: Path | None = None
    """For `ssh_key`: private key without a passphrase."""
    known_hosts_file: Path | None = None
    """For `ssh_key`: host keys, as `ssh-keyscan` prints them. Default: `known_hosts` next to the key."""
    username: str | None = None
    """For `basic` and `token` over https."""
    username_file: Path | None = None
    """A file with the user name, instead of `username`."""
    password_file: Path | None = None
    """For `basic`: a file with the password."""
    token_file: Path | None = None
    """For `token`: a file with an access token."""
    ca_file: Path | None = None
    """For https: authorities that are trusted instead of the system's, PEM."""

    @model_validator(mode="before")
    @classmethod
    def _known_hosts_beside_key(cls, values: Any) -> Any:
        key = values.get("ssh_key_file") if isinstance(values, dict) else None
        if isinstance(key, str | Path) and key and not values.get("known_hosts_file"):
            return {**values, "known_hosts_file": Path(key).parent / "known_hosts"}
        return values

    @model_validator(mode="after")
    def _matching(self) -> GitAuth:
        needed = {"ssh_key": "ssh_key_file", "basic": "password_file", "token": "token_file"}
        for kind, key in needed.items():
            given = getattr(self, key) is not None
            if kind == self.type and not given:
                raise ValueError(f"type: {kind} needs {key}")
            if given and kind != self.type:
                raise ValueError(f"{key} is for type: {kind}, and the type is {self.type}")
        if self.type == "basic" and not (self.username or self.username_file):
            raise ValueError("type: basic needs username or username_file")
        return self


class GitStore(_Section):
    """The config repository."""

    repository: str | None = None
    """Where it is: https, ssh, or the absolute path of a local repository. Without it only REST and agents run."""
    branch: str = Field(default="main", min_length=1)
    """The branch that is followed."""
    sync_interval: Duration = timedelta(minutes=1)
    """How often the server looks for new commits by itself (webhooks and `gitsync sync` do not wait for it)."""
    auth: GitAuth = GitAuth()
    allow_http: bool = False
    """Permits unencrypted http to other machines than this one."""
    allow_rewrite: bool = False
    """Whether a rewritten history (force push) is followed; otherwise it is refused, and said loudly."""
    max_mirror_bytes: int = Field(default=512 << 20, ge=1 << 20)
    """Largest size of the mirror on this disk."""
    max_files: int = Field(default=10_000, ge=1)
    """Most files of a commit."""
    max_file_bytes: int = Field(default=1 << 20, ge=1)
    """Largest file of a commit."""


class ConfigStore(_Section):
    """Where configurations come from."""

    type: Literal["git"] = "git"
    """Always a Git repository."""
    git: GitStore = GitStore()


class Database(_Section):
    """Where state is kept; SQLite in the data directory unless said otherwise."""

    type: Literal["sqlite", "postgresql"] = "sqlite"
    """SQLite for one machine, PostgreSQL for several."""
    dsn: str | None = Field(default=None, repr=False)
    """For `postgresql`: `postgresql://USER:PASSWORD@HOST/NAME`. For `sqlite`: path of another file than the default."""
    dsn_file: Path | None = None
    """A file with the dsn of PostgreSQL, instead of `dsn`."""

    @model_validator(mode="after")
    def _complete(self) -> Database:
        if self.dsn and self.dsn_file:
            raise ValueError("give dsn or dsn_file, not both")
        if self.type == "postgresql" and not (self.dsn or self.dsn_file):
            raise ValueError("type: postgresql needs dsn or dsn_file")
        if self.type == "sqlite" and (self.dsn_file or "://" in (self.dsn or "")):
            raise ValueError("with type: sqlite, dsn is the path of a file (PostgreSQL is type: postgresql)")
        return self


class Webhooks(_Section):
    """Who may ring."""

    secret_file: Path | None = None
    """A file with the secrets that senders sign with, one a line; any of them counts. Without it none is taken."""


class Signing(_Section):
    """The signing key and how long statements hold."""

    key_file: Path | None = None
    """Private Ed25519 key, PEM, made at the first start. Default: `signing.key` in the data directory."""
    validity: Duration = timedelta(days=14)
    """How long a statement holds; it is signed again at half of it."""


class RetentionSettings(_Section):
    """How much history is kept. What runs, is pinned, or is a baseline is never dropped."""

    commits: int = Field(default=1_000, ge=50)
    """Judged commits of each source."""
    revisions: int = Field(default=50, ge=2)
    """Releases of each source, with their payloads."""
    attempts: int = Field(default=20, ge=1)
    """Attempts of each agent."""
    silent_agents: Duration = timedelta(hours=24)
    """Agents that are away for longer leave the lists."""


class Log(_Section):
    """How the service logs, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """From which severity on."""
    format: Literal["text", "json"] = "text"
    """Lines for people, or one JSON object a line."""


class S3(_Section):
    """An S3 bucket for packages."""

    bucket: str | None = None
    """Understood, not built yet."""
    region: str | None = None
    """Understood, not built yet."""
    endpoint: str | None = None
    """Understood, not built yet."""


class PackageRegistry(_Section):
    """Where packages come from; understood, not built yet."""

    type: Literal["s3"] = "s3"
    """Understood, not built yet."""
    s3: S3 = S3()


class Jwt(_Section):
    """Tokens of people; understood, not built yet."""

    signing_key_file: Path | None = None
    """Understood, not built yet."""
    key_file: Path | None = None
    """Another name of `signing_key_file`."""
    signing_key: Path | None = None
    """Another name of `signing_key_file`: also a path, never the key itself."""
    expiration: Duration = timedelta(hours=24)
    """Understood, not built yet."""


class AuthSettings(_Section):
    """Who may do what; understood, not built yet (the administrator's token works)."""

    type: Literal["jwt"] = "jwt"
    """Understood, not built yet."""
    jwt: Jwt = Jwt()


class Settings(_Section):
    """All settings of `gitsync serve`."""

    data_dir: Path = Field(default_factory=lambda: default_data_dir())  # noqa: PLW0108 - it is defined below
    """Keys, tokens, the mirror and SQLite. Default: `/var/lib/gitsync` for root, else `~/.local/state/gitsync`."""
    server: Server = Server()
    config_store: ConfigStore = ConfigStore()
    database: Database = Database()
    webhooks: Webhooks = Webhooks()
    signing: Signing = Signing()
    retention: RetentionSettings = RetentionSettings()
    log: Log = Log()
    extensions: list[str] = Field(default_factory=list)
    """Names of installed extensions that serve custom capabilities; only those named here are loaded."""
    package_registry: PackageRegistry | None = None
    """Where packages come from; understood, not built yet."""
    auth: AuthSettings | None = None
    """Who may do what; understood, not built yet (the administrator's token works)."""

    def notices(self) -> tuple[str, ...]:
        """What the operator should know about settings that do less than they say; one sentence each."""
        tls, git = self.server.tls, self.config_store.git
        said = (
            (
                self.server.listen.grpc is not None,
                "server.listen.grpc is taken as the OpAMP listener (WebSocket and HTTP); gRPC is not served",
            ),
            (
                self.package_registry is not None,
                "package_registry is understood, but packages are not offered yet",
            ),
            (
                self.auth is not None,
                "auth is understood, but not built yet; reads are open, changes need the administrator's token",
            ),
            (
                not tls.enabled and not _is_loopback(self.server.listen.agents),
                "the agents' port has no TLS; set server.tls for anything but a trial",
            ),
            (
                not tls.enabled and tls.cert_file is not None,
                "server.tls has a certificate, but enabled is false: the agents' port has no TLS",
            ),
            (
                git.repository is None,
                "there is no config repository: nothing will be offered (config_store.git.repository, or --source)",
            ),
            (
                git.repository is not None and git.allow_rewrite,
                "config_store.git.allow_rewrite is on: a force push can put any older configuration back",
            ),
        )
        return tuple(text for holds, text in said if holds)


def _is_loopback(address: str) -> bool:
    host, _ = parse_address(address)
    return host == "localhost" or host.startswith("127.") or host == "::1"


def default_data_dir() -> Path:
    """`/var/lib/gitsync` for root, else `$XDG_STATE_HOME/gitsync` or `~/.local/state/gitsync`."""
    if os.geteuid() == 0:
        return Path("/var/lib/gitsync")
    base = os.environ.get("XDG_STATE_HOME")
    return (Path(base) if base else Path.home() / ".local" / "state") / "gitsync"
