"""Settings of the service: one YAML file, `GITSYNC_*` environment variables over it, flags on top.

Unknown keys are errors. Environment names follow the file: `server.listen.http` is `GITSYNC_SERVER__LISTEN__HTTP`.
Variables without `__` are left alone (the clients' own ones, and those that Kubernetes makes for a Service called
`gitsync`), but for the few in `SHORT_NAMES`. Empty values, in the file and in the environment, count as not set.
A setting whose name ends in `_file` is read when it is used, so that a renewed secret needs no restart. What is
understood but not built yet is accepted and named by `notices`.

The texts below the attributes are what `schemas/settings.v1.json` and `docs/reference/settings.md` say about them.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from gitsync.collector.document import Mapping as Node
from gitsync.collector.document import parse_mapping, to_python
from gitsync.collector.spelling import did_you_mean
from gitsync.errors import SettingsError

PREFIX = "GITSYNC_"
SHORT_NAMES: Mapping[str, tuple[str, ...]] = {
    "GITSYNC_DATA_DIR": ("data_dir",),
    "GITSYNC_WEBHOOK_SECRET_FILE": ("webhooks", "secret_file"),
}
"""Variables with a name of their own, and the keys that they set."""
MOST_ERRORS = 5
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_ADDRESS = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.%]+)\]|(?P<host>[^:\[\]/\s]*)):(?P<port>[0-9]{1,5})", re.ASCII)
_ENVIRONMENT = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^}]*))?\}")


def parse_duration(value: object) -> timedelta:
    """A Go-style duration (`1m30s`, `500ms`, `14d`) as timedelta; a timedelta as it is.

    Raises:
        ValueError: anything else, also a bare number.
    """
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise ValueError(  # noqa: TRY004 - pydantic reports ValueError only
            "write a duration with its unit, for example 30s or 1m30s"
        )
    text = value.strip()
    if not text or _DURATION.sub("", text):
        raise ValueError(f"{value!r} is not a duration; write for example 30s, 1m30s or 14d")
    try:
        return timedelta(seconds=sum(float(amount) * _UNITS[unit] for amount, unit in _DURATION.findall(text)))
    except OverflowError:
        raise ValueError(f"{value[:40]!r} is longer than a duration can be") from None


def show_duration(value: timedelta) -> str:
    """The shortest Go-style text of a duration: `1m30s`, `14d`, `500ms`; `0s` for none."""
    left, text = value // timedelta(milliseconds=1), ""
    for unit in ("d", "h", "m", "s", "ms"):
        size = int(_UNITS[unit] * 1000)
        amount, left = divmod(left, size)
        text += f"{amount}{unit}" if amount else ""
    return text or "0s"


def _long_enough(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise ValueError("must be longer than 0s")
    return value


def _listens(value: str) -> str:
    try:
        parse_address(value)
    except SettingsError as error:
        raise ValueError(str(error)) from None
    return value


_DURATION_SCHEMA = WithJsonSchema({"type": "string", "pattern": r"^\s*([0-9]+(\.[0-9]+)?(ms|s|m|h|d))+\s*$"})
AnyDuration = Annotated[timedelta, BeforeValidator(parse_duration), _DURATION_SCHEMA]
Duration = Annotated[timedelta, BeforeValidator(parse_duration), AfterValidator(_long_enough), _DURATION_SCHEMA]
Address = Annotated[str, AfterValidator(_listens)]


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
    max_message_bytes: int = Field(default=4 << 20, ge=1024)
    """Largest message that is taken from an agent."""
    answer_timeout: Duration = timedelta(minutes=2)
    """After this time without any answer an offer counts as not answered."""
    silence: Duration = timedelta(minutes=2)
    """An agent that is silent for longer (or for three of its intervals, if that is more) is taken for gone."""
    check_interval: Duration = timedelta(seconds=30)
    """How often the server looks for silent agents and overdue answers."""
    drain: AnyDuration = timedelta(seconds=5)
    """When the server stops: how long the goodbye to all agents may take."""


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


def load_settings(path: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any]) -> Settings:
    """The settings of one start.

    Args:
        path: the YAML file; None: no file.
        environment: the process's variables.
        overrides: from flags, nested like the file; values of None are left out.

    Raises:
        SettingsError: unreadable file, unknown key, wrong value; the text names the key, where it was set, and
            the nearest known key.
    """
    root = None if path is None else _read(path)
    values: dict[str, Any] = {} if root is None else _expand(to_python(root), environment)
    variables, names = _from_environment(environment)
    _merge(values, variables)
    _merge(values, overrides)
    try:
        return Settings.model_validate(_without_nothing(values))
    except ValidationError as error:
        raise SettingsError(
            _explain(error, lambda key: _where(key, overrides, names, path, root)), code="settings.invalid"
        ) from None


def _read(path: Path) -> Node:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read the settings {path}: {error.strerror}", code="settings.file") from None
    root, diagnostics = parse_mapping(str(path), data)
    if root is None:
        text = "; ".join(str(one) for one in diagnostics[:3])
        raise SettingsError(f"the settings file cannot be used: {text}", code="settings.file")
    return root


def _expand(value: Any, environment: Mapping[str, str]) -> Any:
    """`${NAME}` and `${NAME:-default}` in texts, from the environment."""
    if isinstance(value, dict):
        return {key: _expand(one, environment) for key, one in value.items()}
    if isinstance(value, list):
        return [_expand(one, environment) for one in value]
    if not isinstance(value, str):
        return value

    def fill(found: re.Match[str]) -> str:
        name, default = found.groups()
        if name not in environment and default is None:
            raise SettingsError(f"the settings use ${{{name}}}, which is not set", code="settings.environment")
        return environment.get(name) or default or ""

    return _ENVIRONMENT.sub(fill, value)


def _from_environment(
    environment: Mapping[str, str],
) -> tuple[dict[str, Any], dict[tuple[str, ...], str]]:
    """What the variables set, nested like the file, and the variable of each key."""
    values: dict[str, Any] = {}
    names: dict[tuple[str, ...], str] = {}
    for name, text in sorted(environment.items()):
        keys = SHORT_NAMES.get(name)
        if keys is None and name.startswith(PREFIX) and "__" in name:
            keys = tuple(part.lower() for part in name.removeprefix(PREFIX).split("__"))
        if keys is None or not text:
            continue
        inner = values
        for key in keys[:-1]:
            inner = inner.setdefault(key, {})
            if not isinstance(inner, dict):
                raise SettingsError(
                    f"{name} sets a key inside of what another variable sets as a whole",
                    code="settings.environment",
                )
        inner[keys[-1]] = text
        names[keys] = name
    return values, names


def _merge(values: dict[str, Any], over: Mapping[str, Any]) -> None:
    for key, value in over.items():
        if isinstance(value, Mapping):
            inner = values.get(key)
            if not isinstance(inner, dict):
                values[key] = inner = {}
            _merge(inner, value)
        elif value is not None:
            values[key] = value


def _without_nothing(values: Any) -> Any:
    """Without keys that have no value: a section whose keys are all commented out is not set."""
    if not isinstance(values, dict):
        return values
    return {key: _without_nothing(one) for key, one in values.items() if one is not None}


def _explain(error: ValidationError, where: Callable[[tuple[str, ...]], str]) -> str:
    found = error.errors(include_url=False, include_input=False, include_context=False)
    parts: list[str] = []
    for one in found[:MOST_ERRORS]:
        keys = tuple(str(part) for part in one["loc"])
        text = one["msg"].removeprefix("Value error, ")
        if one["type"] == "extra_forbidden":
            known = _known_keys(keys[:-1])
            text = f"unknown key; {did_you_mean(keys[-1], known) or 'known are ' + ', '.join(known)}"
        elif one["type"] == "model_type":
            text = f"must be a map of keys ({', '.join(_known_keys(keys))})"
        parts.append(f"{where(keys)}{'.'.join(keys) or 'settings'}: {text}")
    if len(found) > MOST_ERRORS:
        parts.append(f"and {len(found) - MOST_ERRORS} more")
    return "; ".join(parts)


def _known_keys(keys: tuple[str, ...]) -> list[str]:
    """The keys of the section at `keys`."""
    model: Any = Settings
    for key in keys:
        kinds = model.model_fields[key].annotation
        model = next((one for one in (kinds, *get_args(kinds)) if hasattr(one, "model_fields")), model)
    return list(model.model_fields)


def _where(
    keys: tuple[str, ...],
    overrides: Mapping[str, Any],
    names: Mapping[tuple[str, ...], str],
    path: Path | None,
    root: Node | None,
) -> str:
    """Where a key was set, as the beginning of a sentence: `a flag: `, `GITSYNC_…: ` or `FILE:LINE:COLUMN: `."""
    value: Any = overrides
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    if value is not None and keys:
        return "a flag: "
    variables = sorted(name for set_keys, name in names.items() if set_keys[: len(keys)] == keys)
    if variables and keys:
        return f"{variables[0]}: "
    place, node = "", root
    for key in keys:
        entry = node.entry(key) if isinstance(node, Node) else None
        if entry is None:
            break
        place, node = f"{entry.key_origin}: ", entry.value if isinstance(entry.value, Node) else None
    return place or (f"{path}: " if path is not None else "")


def parse_address(text: str) -> tuple[str, int]:
    """Host and port of `HOST:PORT`, `[::1]:PORT` or `:PORT` (all interfaces); port 0 means a free one.

    Raises:
        SettingsError: not of that form.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise SettingsError(
            f"{text!r} is not HOST:PORT", code="settings.address", hint="for example 127.0.0.1:4320 or :4320"
        )
    return found["six"] or found["host"] or "0.0.0.0", int(found["port"])  # noqa: S104 - no host: all interfaces
