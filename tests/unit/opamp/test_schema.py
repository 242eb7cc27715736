"""The generated code is what the table says, and what the description generates."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from gitsync.opamp import messages
from gitsync.opamp.pb import anyvalue_pb2, opamp_pb2

ROOT = Path(__file__).parents[3]
TABLE = Path(__file__).with_name("schema.txt")
SCALARS = {
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_BYTES: "bytes",
    FieldDescriptor.TYPE_DOUBLE: "double",
    FieldDescriptor.TYPE_FIXED64: "fixed64",
    FieldDescriptor.TYPE_INT64: "int64",
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_UINT64: "uint64",
}


def plain_type(field: FieldDescriptor) -> str:
    if field.message_type is not None:
        return field.message_type.name
    if field.enum_type is not None:
        return field.enum_type.name
    return SCALARS[field.type]


def shown_type(field: FieldDescriptor) -> str:
    entry = field.message_type
    if entry is not None and entry.GetOptions().map_entry:
        return f"map<{plain_type(entry.fields_by_name['key'])},{plain_type(entry.fields_by_name['value'])}>"
    return f"repeated:{plain_type(field)}" if field.is_repeated else plain_type(field)


def message_lines(descriptor: Descriptor) -> list[str]:
    lines = [f"message {descriptor.name}"]
    for field in descriptor.fields:
        group = field.containing_oneof
        suffix = f" oneof {group.name}" if group is not None else ""
        lines.append(f"  {field.number} {field.name} {shown_type(field)}{suffix}")
    return lines


def enum_lines(descriptor: EnumDescriptor) -> list[str]:
    return [f"enum {descriptor.name}", *(f"  {value.number} {value.name}" for value in descriptor.values)]


def blocks(lines: list[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        if line.startswith(("message ", "enum ")):
            current = found[line] = []
        else:
            current.append(line)
    return found


def generated() -> dict[str, list[str]]:
    lines: list[str] = []
    for module in (anyvalue_pb2, opamp_pb2):
        for descriptor in module.DESCRIPTOR.message_types_by_name.values():
            lines += message_lines(descriptor)
        for enum in module.DESCRIPTOR.enum_types_by_name.values():
            lines += enum_lines(enum)
    return blocks(lines)


def expected() -> dict[str, list[str]]:
    return blocks([line for line in TABLE.read_text().splitlines() if not line.startswith("#")])


def test_each_field_and_enum_value_is_that_of_the_table_and_there_is_nothing_else() -> None:
    assert generated() == expected()


def test_the_table_has_the_whole_protocol() -> None:
    table = expected()
    assert len([name for name in table if name.startswith("message ")]) == 41
    assert sum(len(values) for name, values in table.items() if name.startswith("enum ")) == 49


def test_our_description_lives_under_names_of_its_own_in_the_process_wide_pool() -> None:
    assert opamp_pb2.DESCRIPTOR.package == "opamp.proto.v1"
    assert opamp_pb2.DESCRIPTOR.name == "gitsync/opamp/pb/opamp.proto"
    assert anyvalue_pb2.DESCRIPTOR.name == "gitsync/opamp/pb/anyvalue.proto"


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "proto" / "generate.py"), *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)


def test_generating_again_changes_nothing() -> None:
    result = generate("--check")
    assert (result.stdout, result.returncode) == ("", 0), result.stderr


def test_the_check_fails_with_a_diff_when_a_committed_file_was_changed_or_is_missing(tmp_path: Path) -> None:
    package = tmp_path / "gitsync/opamp/pb"
    package.mkdir(parents=True)
    for path in (ROOT / "gitsync/opamp/pb").glob("*_pb2.py*"):
        package.joinpath(path.name).write_text(path.read_text().replace("sequence_num", "sequence_nr"))
    result = generate("--check", "--root", str(tmp_path))
    assert result.returncode == 1
    assert "--- committed/__init__.py" in result.stdout
    assert "+    sequence_num: _builtins.int" in result.stdout
    assert "sequence_nr" in package.joinpath("opamp_pb2.pyi").read_text(), "a check must not write"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (messages.Capability, "AgentCapabilities"),
        (messages.ServerCapability, "ServerCapabilities"),
        (messages.ConfigStatus, "RemoteConfigStatuses"),
        (messages.ConfigStatus, "ConnectionSettingsStatuses"),
        (messages.PackageStatus, "PackageStatusEnum"),
        (messages.ErrorType, "ServerErrorResponseType"),
    ],
)
def test_our_enums_have_the_names_and_numbers_of_the_protocol(ours: type, theirs: str) -> None:
    enum = opamp_pb2.DESCRIPTOR.enum_types_by_name[theirs]
    prefix = f"{theirs}_"
    wire = {
        value.name.removeprefix(prefix).lower(): value.number
        for value in enum.values
        if not value.name.endswith("_Unspecified")
    }
    assert {member.name.replace("_", "").lower(): int(member) for member in ours} == wire
