"""The compile process: the same results as in-process, and nothing that a job does gets out."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import uvloop

from gitsync.bundle.version import CompileResult
from gitsync.diagnostics import Severity
from gitsync.errors import Unavailable
from gitsync.worker.frames import decode_answer, encode_frame, frame_length
from gitsync.worker.process import CompileWorker, WorkerOptions
from tests.support.compiling import compiled
from tests.support.configrepo import COLLECTOR_YAML, tree_of

ROOT = Path(__file__).parents[3]
GOOD = {"agents/target.yaml": "selector: {matchLabels: {env: prod}}", "agents/c.yaml": COLLECTOR_YAML}
SDK = {
    "gitsync.yaml": "aliases: {env: [d.e]}\nagentTypes: [{type: sdk, selector: {matchLabels: {env: a}}}]",
    "s/target.yaml": (
        "agentType: sdk\nselector: {matchExpressions: [{key: env, operator: Exists}]}\n"
        "objects: [{name: a, file: a.json}]\n"
    ),
    "s/a.json": "{}",
}
OPTIONS = WorkerOptions(
    function="tests.support.jobs:misbehave",
    memory_bytes=256 << 20,
    cpu=timedelta(seconds=1),
    wall=timedelta(seconds=10),
    environment={"PYTHONPATH": str(ROOT)},
)


@pytest.fixture
async def worker() -> AsyncIterator[CompileWorker]:
    async with CompileWorker(OPTIONS) as one:
        yield one


async def job(worker: CompileWorker, subject: str) -> CompileResult:
    return await worker.compile(tree_of(GOOD, subject=subject))


async def assert_works(worker: CompileWorker) -> None:
    result = await worker.compile(tree_of(GOOD))
    assert result == compiled(tree_of(GOOD))
    assert result.bundle is not None


@pytest.mark.parametrize("files", [GOOD, SDK, {"agents/target.yaml": "selctor: {}"}])
async def test_a_result_is_the_same_as_without_the_process(files: dict[str, str]) -> None:
    tree = tree_of(files)
    async with CompileWorker() as worker:
        result = await worker.compile(tree)
    expected = compiled(tree)
    assert result == expected
    if result.bundle is not None and expected.bundle is not None:
        for digest, payload in result.bundle.payloads.items():
            assert payload.provenance == expected.bundle.payloads[digest].provenance


async def test_one_process_serves_many_commits(worker: CompileWorker) -> None:
    first = worker.pid
    for _ in range(3):
        await assert_works(worker)
    assert worker.pid == first


TWO_RELEASES = GOOD | {
    "gitsync.yaml": 'collector: {versions: ["0.149.0", "0.159.0"]}\n',
    "agents/redact.ottl": 'delete_key(span.attributes, "a")\nset(log.attributes["a"], ParseCLF(log.body))\n',
}


async def test_what_is_known_of_a_release_is_parsed_with_the_first_commit_that_needs_it_and_kept(
    worker: CompileWorker,
) -> None:
    before = worker.pid
    assert (await job(worker, "parsed")).files == ()
    for _ in range(2):
        result = await worker.compile(tree_of(TWO_RELEASES))
        assert [(one.code, one.line) for one in result.diagnostics if one.severity is Severity.ERROR] == [("GS1040", 2)]
        assert (await job(worker, "parsed")).files == ("0.149.0", "0.159.0")
    assert worker.pid == before


async def test_the_limit_of_memory_is_enough_for_two_releases_and_still_holds() -> None:
    options = WorkerOptions(
        OPTIONS.function, memory_bytes=64 << 20, cpu=timedelta(seconds=5), environment=OPTIONS.environment
    )
    async with CompileWorker(options) as worker:
        expected = compiled(tree_of(TWO_RELEASES))
        assert await worker.compile(tree_of(TWO_RELEASES)) == expected
        found = (await job(worker, "memory")).diagnostics
        assert [one.message for one in found] == ["the validator ran out of memory on this commit"]
        assert await worker.compile(tree_of(TWO_RELEASES)) == expected
        assert (await job(worker, "parsed")).files == ("0.149.0", "0.159.0")


CRASHES = {
    "raise": "the validator crashed on this commit",
    "recurse": "the validator crashed on this commit",
    "segfault": "the validator crashed on this commit: signal 11",
    "kill": "the validator crashed on this commit: it was killed",
    "leave": "the validator crashed on this commit: exit status 3",
    "garbage": "the validator crashed on this commit",
    "foreign": "the validator crashed on this commit",
    "memory": "the validator ran out of memory on this commit",
    "loop": "the validator ran out of time on this commit",
}


@pytest.mark.parametrize("subject", CRASHES)
async def test_a_job_that_breaks_the_process_is_one_error_and_the_next_one_works(
    worker: CompileWorker, subject: str
) -> None:
    before = worker.pid
    result = await job(worker, subject)
    (found,) = result.diagnostics
    assert (result.bundle, found.code, found.severity) == (None, "GS0699", Severity.ERROR)
    assert found.message == CRASHES[subject]
    await assert_works(worker)
    assert worker.pid != before
    assert not alive(before)


async def test_a_job_that_only_waits_is_ended_by_the_clock() -> None:
    options = WorkerOptions(OPTIONS.function, wall=timedelta(seconds=0.3), environment=OPTIONS.environment)
    async with CompileWorker(options) as worker:
        result = await job(worker, "wait")
        assert result.diagnostics[0].message == "the validator ran out of time on this commit"


async def test_processor_time_is_counted_per_job_not_per_process(worker: CompileWorker) -> None:
    before = worker.pid
    for _ in range(4):
        assert (await job(worker, "cpu")).diagnostics == ()
    assert worker.pid == before


async def test_a_process_that_was_killed_between_jobs_is_replaced_without_a_word(worker: CompileWorker) -> None:
    pid = worker.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(10):
        while alive(pid, zombies=False):
            await asyncio.sleep(0)
    await assert_works(worker)
    assert worker.pid != pid


async def test_a_process_that_is_killed_during_a_job_is_an_error(worker: CompileWorker) -> None:
    pid = worker.pid
    assert pid is not None
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(job(worker, "wait"))
        async with asyncio.timeout(10):
            while worker.pid is not None:
                await asyncio.sleep(0)
        os.kill(pid, signal.SIGKILL)
    assert running.result().diagnostics[0].code == "GS0699"
    await assert_works(worker)


async def test_a_cancelled_job_takes_its_process_with_it(worker: CompileWorker) -> None:
    pid = worker.pid
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await job(worker, "wait")
    assert not alive(pid)
    await assert_works(worker)


async def test_jobs_wait_for_each_other(worker: CompileWorker) -> None:
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(job(worker, subject)) for subject in ("raise", "fine", "raise", "fine")]
    assert [one.result().bundle is None for one in running] == [True, False, True, False]


async def test_the_process_has_no_secret_and_no_open_file_of_the_server(
    worker: CompileWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITSYNC_TOKEN", "secret")
    listener = socket.create_server(("localhost", 0))
    os.set_inheritable(listener.fileno(), True)
    with listener:
        await job(worker, "raise")  # so that the next one starts after the lines above
        names = (await job(worker, "environment")).files
        assert "GITSYNC_TOKEN" not in names
        assert "HOME" not in names
        files = (await job(worker, "files")).files
    assert [one.split()[0] for one in files] == ["0", "1", "2"]
    assert files[0].startswith("0 socket:")
    assert files[1:] == ("1 /dev/null", "2 /dev/null")


async def test_closing_ends_the_process_and_leaves_no_thread() -> None:
    threads = threading.active_count()
    worker = CompileWorker(OPTIONS)
    await worker.start()
    pid = worker.pid
    assert alive(pid)
    assert threading.active_count() == threads
    await worker.close()
    await worker.close()
    assert not alive(pid)
    assert worker.pid is None


async def test_closing_during_a_job_leaves_no_process_behind() -> None:
    worker = CompileWorker(OPTIONS)
    await worker.start()
    pid = worker.pid
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(job(worker, "cpu"))
        async with asyncio.timeout(10):
            while worker.pid is not None:
                await asyncio.sleep(0)
        await worker.close()
    assert worker.pid is None
    assert not alive(pid)


async def test_a_process_that_cannot_start_is_said() -> None:
    for options in (
        WorkerOptions(function="no.such:thing"),
        WorkerOptions(start=timedelta(0)),
    ):
        with pytest.raises(Unavailable) as error:
            await CompileWorker(options).start()
        assert error.value.code == "worker.start"


def test_it_works_under_uvloop() -> None:
    async def run() -> None:
        async with CompileWorker(OPTIONS) as worker:
            assert (await job(worker, "segfault")).diagnostics[0].code == "GS0699"
            await assert_works(worker)

    uvloop.run(run())


def test_a_frame_announces_its_length_and_an_absurd_one_is_refused() -> None:
    frame = encode_frame(CompileResult(None, ()))
    assert frame_length(frame[:8]) == len(frame) - 8
    assert decode_answer(frame[8:]) == CompileResult(None, ())
    with pytest.raises(ValueError, match="too much"):
        frame_length(b"\xff" * 8)
    for nonsense in (b"", b"\x80\x05", encode_frame("text")[8:], encode_frame(Path())[8:]):
        with pytest.raises(ValueError, match="compile process sent"):
            decode_answer(nonsense)


def alive(pid: int | None, *, zombies: bool = True) -> bool:
    """Whether a process exists (a zombie counts as one, unless told otherwise)."""
    assert pid is not None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return zombies or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
