"""The real Collector of the lab: how it is found, started and stopped."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from random import Random

import pytest

from gitsync.errors import SettingsError
from gitsync.lab.collector import LABELS, Programs, find_programs, real_agent, supervisor_settings

SUPERVISOR = """\
#!/bin/sh
# Stands for a supervisor: says how it was started, has a child, and leaves on SIGINT as the real one does.
echo "$@" > started
sleep 1000 &
echo $! > child
trap 'echo goodbye > goodbye; exit 0' INT
while :; do sleep 0.02; done
"""


def program(path: Path, text: str = "#!/bin/sh\n") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def test_variables_name_the_programs(tmp_path: Path) -> None:
    supervisor, collector = program(tmp_path / "a"), program(tmp_path / "b")

    found = find_programs({"GITSYNC_SUPERVISOR": str(supervisor), "GITSYNC_COLLECTOR": str(collector), "PATH": ""})

    assert found == Programs(supervisor, collector)


@pytest.mark.parametrize("name", ["otelcol", "otelcol-contrib", "otelcol-slim"])
def test_programs_on_the_path_are_found(tmp_path: Path, name: str) -> None:
    supervisor = program(tmp_path / "one" / "opampsupervisor")
    collector = program(tmp_path / "two" / name)

    found = find_programs({"PATH": f"{tmp_path / 'nowhere'}:{tmp_path / 'one'}:{tmp_path / 'two'}"})

    assert found == Programs(supervisor, collector)


def test_a_plain_otelcol_wins_over_its_relatives(tmp_path: Path) -> None:
    program(tmp_path / "opampsupervisor")
    program(tmp_path / "otelcol-contrib")

    found = find_programs({"PATH": str(tmp_path), "GITSYNC_COLLECTOR": ""})
    assert found is not None
    assert found.collector.name == "otelcol-contrib"

    program(tmp_path / "otelcol")
    found = find_programs({"PATH": str(tmp_path)})
    assert found is not None
    assert found.collector.name == "otelcol"


def test_both_programs_are_needed(tmp_path: Path) -> None:
    program(tmp_path / "otelcol")
    (tmp_path / "opampsupervisor").write_text("not executable")

    assert find_programs({"PATH": str(tmp_path)}) is None


def test_a_variable_that_names_no_program_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"GITSYNC_SUPERVISOR: .* is not a program"):
        find_programs({"GITSYNC_SUPERVISOR": str(tmp_path), "PATH": ""})


def test_the_supervisor_gets_remote_configurations_and_the_labels_of_the_lab(tmp_path: Path) -> None:
    uid = uuid.UUID(int=7)

    settings = json.loads(
        json.dumps(supervisor_settings(Programs(Path("/s"), Path("/c")), "ws://h/v1/opamp", tmp_path, uid))
    )

    assert settings["capabilities"]["accepts_remote_config"] is True
    assert settings["agent"]["description"]["non_identifying_attributes"] == dict(LABELS)
    assert settings["agent"]["instance_id"] == str(uid)
    assert settings["agent"]["args"] == ["--set=service.telemetry.metrics.level=none"]


async def test_a_supervisor_is_told_to_leave_and_nothing_of_it_stays(tmp_path: Path) -> None:
    programs = Programs(program(tmp_path / "supervisor", SUPERVISOR), tmp_path / "collector")
    place = tmp_path / "place"

    async with real_agent(programs, "ws://127.0.0.1:1/v1/opamp", place, Random(1)) as agent:
        async with asyncio.timeout(10):
            while not (place / "child").exists() or not (place / "child").read_text().strip():
                await asyncio.sleep(0.01)
        assert uuid.UUID(agent.uid).version == 7
        assert (place / "started").read_text().strip() == f"--config {place / 'supervisor.yaml'}"

    assert (place / "goodbye").read_text() == "goodbye\n"
    child = int((place / "child").read_text())
    async with asyncio.timeout(10):
        while _runs(child):
            await asyncio.sleep(0.01)


def _runs(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def test_a_program_that_cannot_be_started_is_named(tmp_path: Path) -> None:
    programs = Programs(program(tmp_path / "supervisor", "#!/nowhere/sh\n"), tmp_path / "collector")

    with pytest.raises(SettingsError, match=r"cannot start .*supervisor"):
        async with real_agent(programs, "ws://h", tmp_path / "place", Random(1)):
            raise AssertionError
