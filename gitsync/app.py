"""Composition: the only place that names concrete drivers, real clocks and real chance.

`serve` builds the parts from settings, runs them in one TaskGroup, and stops them in order: first nobody new comes in,
then agents are told to go, then what is left to write is written.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import logging
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import entry_points
from pathlib import Path

from gitsync.control.agents import AgentOptions, Agents
from gitsync.control.extensions import Extension, Extensions
from gitsync.control.feed import Feed
from gitsync.control.leader import Leadership
from gitsync.control.meters import Meters
from gitsync.control.overview import Overview
from gitsync.control.publish import Publisher, PublishOptions
from gitsync.control.records import Retention
from gitsync.control.renewal import Renewal
from gitsync.control.retention import Sweeper
from gitsync.control.sync import SourceSync, SyncOptions
from gitsync.errors import SettingsError, Unavailable
from gitsync.ids import DEFAULT_SOURCE, AgentUid, SourceName
from gitsync.opamp.wire import require_upb
from gitsync.repo.credentials import Auth
from gitsync.repo.mirror import Mirror
from gitsync.repo.runner import find_git
from gitsync.repo.source import Limits, SourceSpec
from gitsync.server import (
    FileSigner,
    HttpServer,
    ListenerOptions,
    OpampListener,
    SecretFiles,
    TlsOptions,
    WebhookSecrets,
    create_app,
    load_or_create_admin_token,
)
from gitsync.settings import Settings, parse_address
from gitsync.store import Journal, LocalCache, SqlStore, StoreOptions
from gitsync.worker.process import CompileWorker

log = logging.getLogger("gitsync")

EXTENSIONS = "gitsync.extensions"
"""Group of entry points."""


class SystemClock:
    """The real time."""

    def now(self) -> datetime:
        """The instant, aware, UTC."""
        return datetime.now(UTC)  # noqa: TID251 - this is the one place where time comes from

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()


class SystemRandom:
    """Real chance."""

    def __init__(self) -> None:
        self._random = secrets.SystemRandom()

    def uniform(self, low: float, high: float) -> float:
        """A number between both."""
        return self._random.uniform(low, high)

    def token(self) -> str:
        """A new unguessable text."""
        return secrets.token_urlsafe(32)

    def uuid7(self, now: datetime) -> AgentUid:
        """A new instance uid (RFC 9562, version 7)."""
        milliseconds = int(now.timestamp() * 1000)
        value = milliseconds << 80 | secrets.randbits(80)
        value = value & ~(0xF << 76) & ~(0x3 << 62) | 7 << 76 | 2 << 62
        return AgentUid(value.to_bytes(16, "big"))


@dataclass(frozen=True, slots=True)
class Running:
    """A started service.

    Attributes:
        opamp_url, http_url: where it really listens.
        created: what the first start made, one sentence each.
        hurry: ends the goodbyes to agents, and calls that are under way, while the service stops.
    """

    opamp_url: str
    http_url: str
    admin_token_file: Path
    created: tuple[str, ...]
    overview: Overview
    agents: Agents
    hurry: Callable[[], None]


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """The whole service, started; leaving the block stops it in order.

    Raises:
        SettingsError: something that the operator must change.
        Unavailable: the database cannot be opened.
    """
    require_upb()
    clock, random, meters = SystemClock(), SystemRandom(), Meters()
    directory = _prepare_directory(settings.data_dir)
    replica = _replica_id(directory)
    async with AsyncExitStack() as stack:
        stack.enter_context(_Lock(directory / "gitsync.lock"))
        signer, made_key = FileSigner.load_or_create(settings.signing.key_file or directory / "signing.key")
        auth, token_file, made_token = load_or_create_admin_token(directory)
        created = _created(made_key, made_token, settings, directory, token_file)
        store = await stack.enter_async_context(
            await SqlStore.open(_store_options(settings, directory, replica), must_answer=False)
        )
        journal = await stack.enter_async_context(Journal(store, clock.now, failed=meters.count_store_error).running())
        secret_files = SecretFiles(settings.server.agents.secrets_dir)
        extensions = Extensions(load_extensions(settings.extensions), meters, clock)
        agents = Agents(
            _agent_options(settings, replica), store, journal, meters, clock, random, secret_files, extensions
        )
        feed = Feed(store, LocalCache(directory / "cache.json"), clock, agents.set_published)
        leadership = Leadership(store, replica)
        worker = await stack.enter_async_context(CompileWorker())
        publisher = Publisher(PublishOptions(validity=settings.signing.validity), store, signer, meters, clock, random)
        syncs: dict[SourceName, SourceSync] = {}
        git = settings.config_store.git
        if git.repository is not None:
            program = await find_git()
            if program.warning:
                log.warning("%s", program.warning)
            mirror = Mirror(_source_spec(settings), directory / "mirrors" / DEFAULT_SOURCE, program)
            stack.push_async_callback(mirror.close)
            syncs[DEFAULT_SOURCE] = SourceSync(
                DEFAULT_SOURCE,
                SyncOptions(
                    url=git.repository,
                    ref=git.branch,
                    interval=git.sync_interval,
                    allow_rewrite=git.allow_rewrite,
                ),
                mirror,
                worker,
                publisher,
                store,
                leadership,
                meters,
                clock,
                random,
                feed.ring,
            )
        overview = Overview(store, meters, clock, agents, feed, leadership, syncs, signer.root())
        renewal = Renewal(publisher, leadership, lambda: agents.published, clock, feed.ring)
        sweeper = Sweeper(store, leadership, _retention(settings), clock)
        listener = OpampListener(_listener_options(settings), agents, meters)
        http = HttpServer(
            create_app(overview, auth, WebhookSecrets(settings.webhooks.secret_file), clock),
            *parse_address(settings.server.listen.http),
        )

        def hurry() -> None:
            listener.hurry()
            http.hurry()

        try:
            await store.mark_disconnected(replica, clock.now())
        except Unavailable as error:
            log.warning("starting without the database: %s", error)
        await feed.refresh()
        async with asyncio.TaskGroup() as tasks:
            work = {
                "feed": feed.run(),
                "agents": agents.run(),
                "leader": leadership.run(),
                "renewal": renewal.run(),
                "retention": sweeper.run(),
                **{f"source-{name}": sync.run() for name, sync in syncs.items()},
            }
            background = [tasks.create_task(one, name=name) for name, one in work.items()]
            try:
                await listener.start()
                await http.start()
                yield Running(listener.url, http.url, token_file, created, overview, agents, hurry)
            finally:
                # Probes are answered while agents are sent away: not ready.
                overview.drain()
                await listener.stop(settings.server.agents.drain.total_seconds())
                await http.stop()
                for task in background:
                    task.cancel()


async def serve(settings: Settings, announce: Callable[[Running], None]) -> None:
    """Runs the service until SIGINT or SIGTERM; a second one ends it without waiting for agents and calls.

    Args:
        announce: called once when everything is up.
    """
    stop = asyncio.Event()
    hurry: list[Callable[[], None]] = []

    def ask_to_stop() -> None:
        if stop.is_set():
            for one in hurry:
                one()
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ask_to_stop)
    async with running(settings) as service:
        hurry.append(service.hurry)
        _spare_the_collector()
        announce(service)
        await stop.wait()
        log.info("stopping; agents keep what they run")


def run(settings: Settings, announce: Callable[[Running], None]) -> None:
    """`serve` on the fastest event loop there is."""
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(settings, announce))
    else:
        uvloop.run(serve(settings, announce))


def _spare_the_collector() -> None:
    """Tens of thousands of agents are a million objects that stay, and hold no cycles.

    Going through all of them again and again takes a third of the time of a publication (measured with 10,000 agents);
    what does make cycles, errors with their tracebacks, dies young. So the youngest are looked at as ever, the others
    after some ten million more.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 1_000, 100)


class _Lock:
    """One service per data directory."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._handle: int | None = None

    def __enter__(self) -> None:
        self._handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._handle)
            raise SettingsError(
                f"another gitsync uses the data directory {self._path.parent}",
                code="data_dir.locked",
                hint="stop it, or give this one its own --data-dir",
            ) from None

    def __exit__(self, *exception: object) -> None:
        if self._handle is not None:
            os.close(self._handle)


def _prepare_directory(directory: Path) -> Path:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(directory, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise SettingsError(
            f"cannot use the data directory {directory}: {error.strerror}",
            code="data_dir",
            hint="give another one with --data-dir",
        ) from None
    return directory.absolute()


def _replica_id(directory: Path) -> str:
    """The name of this replica, the same after a restart: it may take its own lease back at once."""
    path = directory / "replica.id"
    if not path.exists():
        temporary = path.with_suffix(".new")
        temporary.write_text(secrets.token_hex(8))
        temporary.replace(path)
    return path.read_text().strip()


def _created(
    made_key: bool, made_token: bool, settings: Settings, directory: Path, token_file: Path
) -> tuple[str, ...]:
    lines: list[str] = []
    if made_key:
        path = settings.signing.key_file or directory / "signing.key"
        lines.append(f"made the signing key {path} (back it up; `gitsync keys export` prints its public half)")
    if made_token:
        lines.append(f"made the administrator's token {token_file}")
    return tuple(lines)


def _store_options(settings: Settings, directory: Path, replica: str) -> StoreOptions:
    database = settings.database
    if database.type == "sqlite":
        return StoreOptions(database.dsn or f"sqlite:///{directory / 'gitsync.db'}", f"gitsync/{replica}")
    dsn = database.dsn
    if database.dsn_file is not None:
        try:
            dsn = database.dsn_file.read_text().strip()
        except OSError as error:
            raise SettingsError(f"cannot read {database.dsn_file}: {error.strerror}", code="database.dsn") from None
    assert dsn is not None
    return StoreOptions(dsn, f"gitsync/{replica}")


def _agent_options(settings: Settings, replica: str) -> AgentOptions:
    agents = settings.server.agents
    return AgentOptions(
        replica_id=replica,
        answer_timeout=agents.answer_timeout,
        silence=agents.silence,
        check_interval=agents.check_interval,
        message_rate=agents.message_rate,
        is_alone=settings.database.type == "sqlite",
    )


def load_extensions(names: Sequence[str]) -> list[Extension]:
    """The extensions of these names, from the entry points of installed packages; no others are even imported.

    Raises:
        SettingsError: `extension.unknown`, `extension.failed`.
    """
    found = entry_points(group=EXTENSIONS)
    loaded: list[Extension] = []
    for name in names:
        if name not in found.names:
            hint = f"installed are: {', '.join(sorted(found.names)) or '(none)'}"
            raise SettingsError(f"there is no extension {name!r}", code="extension.unknown", hint=hint)
        try:
            loaded.append(found[name].load()())
        except Exception as error:
            text = f"the extension {name!r} cannot be loaded: {error}"
            raise SettingsError(text, code="extension.failed") from error
    return loaded


def _listener_options(settings: Settings) -> ListenerOptions:
    host, port = parse_address(settings.server.listen.agents)
    agents, tls = settings.server.agents, settings.server.tls
    return ListenerOptions(
        host=host,
        port=port,
        path=agents.path,
        max_connections=agents.max_connections,
        connect_rate=agents.connect_rate,
        connect_burst=agents.connect_burst,
        max_handshakes=agents.max_handshakes,
        max_message_bytes=agents.max_message_bytes,
        max_outgoing_bytes=agents.max_outgoing_bytes,
        compression=agents.compression,
        max_bytes_in_flight=agents.max_bytes_in_flight,
        tls=TlsOptions(
            cert_file=tls.cert_file,
            key_file=tls.key_file,
            client_ca_file=tls.client_ca_file,
            client_auth="require" if tls.client_auth == "require_and_verify" else tls.client_auth,
        )
        if tls.enabled and tls.cert_file is not None and tls.key_file is not None
        else None,
    )


def _source_spec(settings: Settings) -> SourceSpec:
    git = settings.config_store.git
    auth = git.auth
    return SourceSpec(
        url=git.repository or "",
        ref=git.branch,
        allow_http=git.allow_http,
        interval=git.sync_interval,
        auth=Auth(
            username=auth.username,
            username_file=auth.username_file,
            password_file=auth.password_file,
            token_file=auth.token_file,
            ssh_key_file=auth.ssh_key_file,
            known_hosts_file=auth.known_hosts_file,
            ca_file=auth.ca_file,
        ),
        limits=Limits(files=git.max_files, file_bytes=git.max_file_bytes, mirror_bytes=git.max_mirror_bytes),
    )


def _retention(settings: Settings) -> Retention:
    kept = settings.retention
    return Retention(
        commits=kept.commits,
        revisions=kept.revisions,
        attempts=kept.attempts,
        agents_silent_hours=max(int(kept.silent_agents.total_seconds() // 3600), 1),
    )
