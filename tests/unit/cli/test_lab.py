"""`gitsync lab`: options that do not fit together."""

from __future__ import annotations

import pytest

from tests.unit.cli.conftest import gitsync


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--opamp", "ws://h", "--once"], "--opamp brings only agents"),
        (["-o", "json"], "-o json works with --once only"),
        (["--faults", "lazy=1"], "kinds: slow, fails"),
        (["--agents", "1", "--faults", "slow=2"], "2 faults for 1 agents"),
        (["--timeout", "soon", "--once"], "--timeout: 'soon' is not a duration"),
        (["--agents", "-1"], "--agents"),
    ],
)
def test_options_that_do_not_fit_are_refused(arguments: list[str], said: str) -> None:
    done = gitsync("lab", *arguments)

    assert done.code == 2
    assert said in done.err
