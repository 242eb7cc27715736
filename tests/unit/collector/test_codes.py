"""Every code that a check here can report is explained in the documentation."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


def codes_of(package: str) -> set[str]:
    source = "\n".join(path.read_text() for path in (ROOT / "gitsync" / package).rglob("*.py"))
    return set(re.findall(r'"(GS\d{4})"', source))


@pytest.mark.parametrize(
    ("package", "families"),
    [
        # GS04 and GS07: the policy names the warnings of others, whose severity it chooses.
        ("collector", {"GS01", "GS02", "GS03", "GS04", "GS07", "GS08", "GS09", "GS10", "GS11"}),
        ("ottl", {"GS10"}),
    ],
)
def test_a_package_reports_codes_of_its_families_and_each_has_a_page(package: str, families: set[str]) -> None:
    reported = codes_of(package)
    assert len(reported) > 30
    assert {code[:4] for code in reported} <= families
    assert reported <= {path.stem for path in (ROOT / "docs" / "reference" / "diagnostics").glob("*.md")}


@pytest.mark.parametrize("package", ["bundle", "worker", "control", "cli"])
def test_codes_of_texts_are_not_given_to_anything_else(package: str) -> None:
    assert not {code for code in codes_of(package) if code.startswith("GS10")}
