"""Functions: names that are not available, and names of parameters."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gitsync.ottl.functions import find_parameter, to_camel, unknown_function, writable_names
from gitsync.ottl.returns import RETURNS
from gitsync.ottl.tables import OttlTables

FILE = Path(__file__).resolve().parents[3] / "schemas/collector/0.159.0/ottl.json"
TABLES = OttlTables.from_json(json.loads(FILE.read_text()))
SPAN = TABLES.functions_for("processor/transform", "span")


@pytest.mark.parametrize(
    ("name", "code", "hint"),
    [
        ("drop", "GS1040", "the filter processor drops"),
        ("delete", "GS1040", "delete_key"),
        ("sett", "GS1040", "did you mean set?"),
        ("setName", "GS1040", ""),
        ("ToLower", "GS1040", "ToLowerCase"),
        ("IsMach", "GS1040", "did you mean IsMatch?"),
        ("is_match", "GS1040", "a converter"),
        ("Set", "GS1040", "an editor"),
        ("Xyzzy", "GS1040", ""),
        ("convert_sum_to_gauge", "GS1041", "processor/transform in the context metric"),
        ("convert_sum_to_gauges", "GS1040", "processor/transform in the context metric"),
        ("ParseCEF", "GS1041", "processor/transform in the context log"),
        ("HasAttrOnDatapoint", "GS1041", "processor/filter in the context metric"),
    ],
)
def test_a_function_that_is_not_available_gets_a_hint(name: str, code: str, hint: str) -> None:
    found, message, said = unknown_function(name, SPAN, TABLES)
    assert found == code
    assert f'"{name}"' in message
    assert hint in said


def test_a_function_that_works_in_several_places_names_them() -> None:
    _, _, hint = unknown_function("IsRootSpan", TABLES.functions_for("processor/transform", "log"), TABLES)
    assert "processor/filter in the context span" in hint
    assert ", and in processor/transform in the context span" in hint


def test_a_parameter_is_found_by_any_writing_that_go_makes_the_same() -> None:
    replace = TABLES.functions["replace_pattern"]
    for name in ("regex_pattern", "regexPattern", "regex__pattern"):
        found = find_parameter(replace, name)
        assert found is not None
        assert found.name == "regex_pattern"
    assert find_parameter(replace, "regexpattern") is None
    assert find_parameter(replace, "x" * 1000) is None


def test_parameters_that_no_name_reaches_are_not_offered() -> None:
    assert writable_names(TABLES.functions["URL"]) == []
    assert find_parameter(TABLES.functions["URL"], "uri") is None
    assert "source_ip" not in writable_names(TABLES.functions["CommunityID"])
    assert find_parameter(TABLES.functions["CommunityID"], "source_i_p") is not None


@pytest.mark.parametrize(
    ("name", "camel"),
    [
        ("target", "Target"),
        ("utf8_safe", "Utf8Safe"),
        ("utf8safe", "Utf8Safe"),
        ("x_path", "XPath"),
        ("xPath", "XPath"),
        ("sourceIP", "SourceIp"),
        ("", ""),
    ],
)
def test_names_become_camel_case_as_in_go(name: str, camel: str) -> None:
    assert to_camel(name) == camel


def test_what_gives_a_known_type_exists() -> None:
    assert {name for name in RETURNS if name not in TABLES.functions} == set()
    assert not [name for name in RETURNS if TABLES.functions[name].name[0].islower()]
