"""Every case of the server, over every transport that it is about."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.protocol.conformance.table import CASES
from tests.support.conformance import Case, Via
from tests.support.conformance_scene import open_scene


def runs() -> Iterator[Any]:
    for case in CASES:
        for via in case.over:
            marks = [pytest.mark.xfail(strict=True, reason=case.missing)] if case.missing else []
            yield pytest.param(case, via, id=f"{case.name} [{via}]", marks=marks)


@pytest.mark.parametrize(("case", "via"), list(runs()))
async def test_the_server_keeps_the_rules(case: Case, via: Via, empty_database: Path, tmp_path: Path) -> None:
    async with open_scene(via, empty_database, tmp_path, case.server) as scene:
        await case.play(scene)
