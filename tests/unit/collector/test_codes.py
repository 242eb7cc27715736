"""Every code that a check here can report is explained in the documentation, and no other one."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_reference_explains_exactly_the_codes_of_this_package() -> None:
    source = "\n".join(path.read_text() for path in (ROOT / "gitsync" / "collector").glob("*.py"))
    reported = set(re.findall(r'"(GS\d{4})"', source))
    page = (ROOT / "docs" / "reference" / "diagnostics.md").read_text()
    explained = {code for code in re.findall(r"^\| (GS\d{4}) \|", page, re.MULTILINE) if code < "GS0400"}
    assert reported == explained
    assert len(reported) > 30
