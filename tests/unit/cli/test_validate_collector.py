"""`gitsync validate --collector`: plain Collector files."""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gitsync.worker.schemas import load_catalog
from tests.unit.cli.conftest import Outcome, gitsync

GOOD = """\
receivers:
  otlp: {protocols: {grpc: {}}}
processors:
  batch: {timeout: 5s}
exporters:
  otlp_grpc: {endpoint: "gateway:4317"}
service:
  pipelines:
    traces: {receivers: [otlp], processors: [batch], exporters: [otlp_grpc]}
"""
BAD = GOOD.replace("timeout", "time_out")
UNUSED = GOOD.replace("processors: [batch], ", "")
NEWEST = list(load_catalog().collectors)[-1]


@contextlib.contextmanager
def standard_input(text: str) -> Iterator[None]:
    before = sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(text.encode()))
    try:
        yield
    finally:
        sys.stdin = before


def write(directory: Path, **files: str) -> list[str]:
    """Writes NAME.yaml for each; their paths."""
    for name, text in files.items():
        (directory / f"{name}.yaml").write_text(text)
    return [str(directory / f"{name}.yaml") for name in files]


def validate(*arguments: str) -> Outcome:
    return gitsync("validate", "--collector", *arguments)


def test_a_good_file_is_valid(tmp_path: Path) -> None:
    done = validate(*write(tmp_path, good=GOOD))
    assert (done.code, done.err) == (0, "")
    assert done.out == f"valid: 1 file for contrib {NEWEST}, nothing found\n"


def test_a_mistake_is_shown_with_its_line_and_what_was_meant(tmp_path: Path) -> None:
    (path,) = write(tmp_path, bad=BAD)
    done = validate(path)
    assert done.code == 1
    first, line, mark, hint, *_ = done.out.splitlines()
    assert first == f'{path}:4:11: error GS0231: "time_out" is not a setting of "batch"'
    assert line == "  4 |   batch: {time_out: 5s}"
    assert mark.index("^") == line.index("time_out")
    assert hint == '  hint: did you mean "timeout"?'
    assert done.out.splitlines()[-1] == f"invalid: 1 file for contrib {NEWEST}, 1 error"


def test_json_is_yaml(tmp_path: Path) -> None:
    (tmp_path / "c.json").write_text(
        '{"receivers": {"otlp": {"protocols": {"grpc": {}}}}, "exporters": {"otlp_grpc": {"endpoint": "g:1"}},'
        ' "service": {"pipelines": {"traces": {"receivers": ["otlp"], "exporters": ["otlp_grpc"]}}}}'
    )
    assert validate(str(tmp_path / "c.json")).code == 0


def test_several_files_are_merged_in_order(tmp_path: Path) -> None:
    base = GOOD.replace("5s", "now")
    paths = write(tmp_path, base=base, fixed="processors: {batch: {timeout: 1s}}\n")
    assert validate(*paths).code == 0
    done = validate(*reversed(paths))
    assert done.code == 1
    assert f"{paths[0]}:4:20: error GS0235" in done.out


def test_each_file_alone(tmp_path: Path) -> None:
    paths = write(tmp_path, good=GOOD, bad=BAD, unused=UNUSED)
    done = validate("--each", *paths)
    assert done.code == 1
    assert done.out.splitlines()[-1] == f"invalid: 1 of 3 files for contrib {NEWEST}, 1 error, 1 warning"
    done = validate("--each", paths[0])
    assert (done.code, done.out) == (0, f"valid: 1 file for contrib {NEWEST}, nothing found\n")


def test_a_line_for_each_file(tmp_path: Path) -> None:
    paths = write(tmp_path, good=GOOD, bad=BAD, unused=UNUSED)
    done = validate("--each", "-o", "jsonl", *paths)
    lines = [json.loads(line) for line in done.out.splitlines()]
    assert (done.code, [one["files"] for one in lines]) == (1, [[path] for path in paths])
    assert [one["valid"] for one in lines] == [True, False, True]
    assert [[found["code"] for found in one["diagnostics"]] for one in lines] == [[], ["GS0231"], ["GS0217"]]
    assert set(lines[1]["diagnostics"][0]) == {"severity", "code", "path", "line", "column", "message", "hint"}
    (one,) = validate("-o", "jsonl", *paths[:2]).out.splitlines()
    assert json.loads(one)["files"] == paths[:2]


@pytest.mark.parametrize("each", [[], ["--each"]])
def test_a_document_for_all(tmp_path: Path, each: list[str]) -> None:
    paths = write(tmp_path, good=GOOD, bad=BAD)
    document = json.loads(validate(*each, "-o", "json", *paths).out)
    assert set(document) == {"valid", "diagnostics"}
    assert document["valid"] is False
    assert {one["path"] for one in document["diagnostics"]} == {paths[1]}
    document = json.loads(validate(*each, "-o", "json", paths[0]).out)
    assert document == {"valid": True, "diagnostics": []}


def test_warnings_count_when_they_should(tmp_path: Path) -> None:
    (path,) = write(tmp_path, unused=UNUSED)
    done = validate(path)
    assert (done.code, "warning GS0217" in done.out) == (0, True)
    done = validate("--strict", path)
    assert (done.code, "error GS0217" in done.out) == (1, True)
    assert validate("--strict", "--each", "-o", "jsonl", path).code == 1


def test_standard_input_is_a_file() -> None:
    with standard_input(BAD):
        done = validate("-")
    assert done.code == 1
    assert done.out.startswith("-:4:11: error GS0231")
    with standard_input("processors: {batch: {timeout: 1s}}\n"):
        assert validate("-", "-").err.startswith("error: - stands twice")


def test_what_the_collector_would_fail_at_when_it_starts_is_a_warning_for_files_and_an_error_for_repositories(
    tmp_path: Path,
) -> None:
    text = GOOD + "  telemetry: {logs: {encoding: text}}\n"
    (path,) = write(tmp_path, c=text)
    assert validate(path).code == 0
    agents = tmp_path / "fleet" / "agents"
    agents.mkdir(parents=True)
    (tmp_path / "fleet" / "gitsync.yaml").touch()
    (agents / "target.yaml").write_text("selector: {}\n")
    (agents / "collector.yaml").write_text(text)
    done = gitsync("validate", str(tmp_path / "fleet"))
    assert (done.code, "error GS0282" in done.out) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "error", "hint"),
    [
        (["nowhere.yaml"], "cannot read nowhere.yaml: No such file or directory", ""),
        (["."], ". is a directory", "name its files, such as *.yaml"),
        ([], "--collector needs a file", "or - for stdin"),
        (["c.yaml", "--distribution", "contribb"], 'there is no distribution "contribb"', "known: contrib, core, k8s"),
        (["c.yaml", "--collector-version", "newest"], '"newest" is no version of the Collector', "known: 0."),
        (["--watch", "-"], "--watch cannot read - again", "name of a file"),
        (["-o", "xml", "c.yaml"], "xml", "--help"),
    ],
)
def test_what_cannot_be_judged_is_exit_code_2_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], error: str, hint: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, c=GOOD)
    done = validate(*arguments)
    assert (done.code, done.out) == (2, "")
    assert error in done.err.splitlines()[0]
    assert hint in done.err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["a", "b"], "2 paths were given"),
        (["c.yaml"], "c.yaml is a file"),
        (["--each"], "need --collector"),
        (["--distribution", "core"], "need --collector"),
        (["--collector-version", "0.159.0"], "need --collector"),
    ],
)
def test_a_repository_takes_one_directory_and_says_which_collector_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], error: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, c=GOOD)
    done = gitsync("validate", *arguments)
    assert (done.code, done.out) == (2, "")
    assert error in done.err.splitlines()[0]
    assert "--collector" in done.err


def test_versions_are_all_judged(tmp_path: Path) -> None:
    (path,) = write(tmp_path, c=GOOD)
    known = list(load_catalog().collectors)
    options = [text for version in known for text in ("--collector-version", version)]
    done = validate(path, *options)
    assert f"for contrib {', '.join(known)}" in done.out
    assert validate(path, "--collector-version", f"v{known[0]}").out.endswith(f"contrib {known[0]}, nothing found\n")


def test_for_a_version_that_is_not_known_the_nearest_is_judged_and_standard_error_says_so(tmp_path: Path) -> None:
    (path,) = write(tmp_path, c=GOOD)
    done = validate(path, "--collector-version", "0.158.0", "-o", "json")
    assert (done.code, json.loads(done.out)) == (0, {"valid": True, "diagnostics": []})
    assert done.err == f'nothing is known of Collector "0.158.0": {NEWEST} is checked instead\n'


def test_components_of_which_only_the_name_is_known_are_named_in_the_summary(tmp_path: Path) -> None:
    text = GOOD.replace("exporters:\n", "exporters:\n  datadog: {api: {key: '${env:KEY}'}}\n", 1)
    (path,) = write(tmp_path, c=text.replace("exporters: [otlp_grpc]", "exporters: [otlp_grpc, datadog]"))
    done = validate(path)
    assert done.code == 0
    assert done.out.endswith("; settings that are not known here, and not checked: exporter/datadog\n")
    assert validate("--each", path).out.endswith("not checked: exporter/datadog\n")
    (good,) = write(tmp_path, good=GOOD)
    assert "not checked" not in validate(good).out


def test_a_custom_build_may_have_components_of_its_own(tmp_path: Path) -> None:
    (path,) = write(tmp_path, c=GOOD.replace("otlp_grpc", "our_backend"))
    assert validate(path).code == 1
    assert validate(path, "--distribution", "custom").code == 0


@pytest.mark.parametrize("content", [b"", b"\x00\x01", b"\xff\xfe", b"[" * 100_000, b"a: " * 100_000, b"#" * (2 << 20)])
def test_hostile_files_are_judged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "c.yaml"
    path.write_bytes(content)
    done = validate(str(path))
    assert (done.code, done.err) == (1, "")
    assert done.out.splitlines()[-1].startswith("invalid: 1 file")


def test_a_pipe_is_a_file_too(tmp_path: Path) -> None:
    read, written = os.pipe()
    os.write(written, GOOD.encode())
    os.close(written)
    assert validate(f"/dev/fd/{read}").code == 0
    os.close(read)


# The parts of the SARIF 2.1.0 schema that readers insist on.
SARIF: dict[str, Any] = {
    "type": "object",
    "required": ["version", "runs"],
    "properties": {
        "version": {"const": "2.1.0"},
        "$schema": {"type": "string", "format": "uri"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool", "results"],
                "properties": {
                    "tool": {
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "uniqueItems": True,
                                        "items": {
                                            "required": ["id"],
                                            "properties": {
                                                "helpUri": {"type": "string", "format": "uri"},
                                                "shortDescription": {"required": ["text"]},
                                                "defaultConfiguration": {
                                                    "properties": {
                                                        "level": {"enum": ["none", "note", "warning", "error"]}
                                                    }
                                                },
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "results": {
                        "items": {
                            "required": ["message", "ruleId", "ruleIndex", "level", "locations"],
                            "properties": {
                                "level": {"enum": ["none", "note", "warning", "error"]},
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "message": {"required": ["text"]},
                                "locations": {
                                    "minItems": 1,
                                    "items": {
                                        "properties": {
                                            "physicalLocation": {
                                                "required": ["artifactLocation"],
                                                "properties": {
                                                    "artifactLocation": {
                                                        "properties": {
                                                            "uri": {"type": "string", "format": "uri-reference"}
                                                        }
                                                    },
                                                    "region": {
                                                        "properties": {
                                                            "startLine": {"type": "integer", "minimum": 1},
                                                            "startColumn": {"type": "integer", "minimum": 1},
                                                        }
                                                    },
                                                },
                                            }
                                        }
                                    },
                                },
                            },
                        }
                    },
                },
            },
        },
    },
}


def test_a_sarif_log_has_the_structure_of_its_schema(tmp_path: Path) -> None:
    paths = write(tmp_path, bad=BAD, unused=UNUSED)
    done = validate("--each", "-o", "sarif", *paths)
    log = json.loads(done.out)
    assert done.code == 1
    jsonschema.Draft202012Validator(SARIF).validate(log)
    assert {one["ruleId"] for one in log["runs"][0]["results"]} == {"GS0231", "GS0217"}


def test_annotations_name_the_files_as_they_were_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, bad=BAD)
    first, last = validate("-o", "github", "bad.yaml").out.splitlines()
    place, _, message = first.removeprefix("::error ").partition("::")
    assert place == "file=bad.yaml,line=4,col=11,title=GS0231"
    assert message == '"time_out" is not a setting of "batch" (did you mean "timeout"?)'
    assert last == f"invalid: 1 file for contrib {NEWEST}, 1 error"


def test_annotations_of_a_repository_name_its_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "fleet").mkdir()
    (tmp_path / "fleet" / "gitsync.yaml").write_text("aliasses: {}\n")
    monkeypatch.chdir(tmp_path)
    assert gitsync("validate", "fleet", "-o", "github").out.startswith("::error file=fleet/gitsync.yaml,line=1,col=1,")
    monkeypatch.chdir(tmp_path / "fleet")
    assert gitsync("validate", "-o", "github").out.startswith("::error file=gitsync.yaml,line=1,col=1,")
