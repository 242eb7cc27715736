"""What an agent reports becomes values, whatever its size and kinds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gitsync.opamp import messages as m
from gitsync.opamp import reports
from gitsync.opamp.pb import anyvalue_pb2 as anyvalue
from gitsync.opamp.pb import opamp_pb2 as pb

Any = anyvalue.AnyValue


def pair(key: str, value: anyvalue.AnyValue) -> anyvalue.KeyValue:
    return anyvalue.KeyValue(key=key, value=value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Any(string_value="otelcol"), "otelcol"),
        (Any(string_value=""), ""),
        (Any(bool_value=True), "true"),
        (Any(bool_value=False), "false"),
        (Any(int_value=-3), "-3"),
        (Any(int_value=0), "0"),
        (Any(double_value=0.5), "0.5"),
        (Any(double_value=float("inf")), "inf"),
        (Any(string_value="x" * 5000), "x" * 1024),
        (Any(string_value="a\0b"), "a�b"),
    ],
)
def test_scalar_attributes_become_text(value: anyvalue.AnyValue, text: str) -> None:
    assert reports.read_attributes([pair("k", value)]) == {"k": text}


@pytest.mark.parametrize(
    "value",
    [
        Any(),
        Any(bytes_value=b"x"),
        Any(array_value=anyvalue.ArrayValue(values=[Any(int_value=1)])),
        Any(kvlist_value=anyvalue.KeyValueList()),
    ],
    ids=["null", "bytes", "list", "map"],
)
def test_other_attributes_are_left_out(value: anyvalue.AnyValue) -> None:
    assert reports.read_attributes([pair("k", value), pair("l", Any(int_value=1))]) == {"l": "1"}


def test_attributes_without_a_name_or_with_an_endless_one_are_left_out() -> None:
    pairs = [pair("", Any(int_value=1)), pair("x" * 1025, Any(int_value=1)), pair("y", Any(int_value=1))]
    assert reports.read_attributes(pairs) == {"y": "1"}


def test_at_most_128_attributes_are_kept_and_they_are_the_first() -> None:
    pairs = [pair(f"k{index}", Any(int_value=index)) for index in range(500)]
    found = reports.read_attributes(pairs)
    assert list(found.values()) == [str(index) for index in range(128)]


def test_of_equal_names_the_last_counts() -> None:
    assert reports.read_attributes([pair("k", Any(int_value=1)), pair("k", Any(int_value=2))]) == {"k": "2"}


def told(text: str) -> str:
    return text[:1024].replace("\0", "\N{REPLACEMENT CHARACTER}")


def meaning(value: anyvalue.AnyValue) -> str | None:
    """What is kept of a value, in the plainest words."""
    match value.WhichOneof("value"):
        case "string_value":
            return told(value.string_value)
        case "bool_value":
            return str(value.bool_value).lower()
        case "int_value":
            return str(value.int_value)
        case "double_value":
            return repr(value.double_value)
    return None


some_texts = st.text(st.sampled_from("ab\0é\U0001f600"), max_size=3) | st.integers(1020, 1030).map(
    lambda size: "x" * size
)
some_values = st.one_of(
    some_texts.map(lambda text: Any(string_value=text)),
    some_texts.map(lambda text: Any(string_value=text)),
    st.booleans().map(lambda value: Any(bool_value=value)),
    st.integers(-(2**63), 2**63 - 1).map(lambda value: Any(int_value=value)),
    st.floats().map(lambda value: Any(double_value=value)),
    st.binary(max_size=3).map(lambda value: Any(bytes_value=value)),
    st.just(Any()),
    st.just(Any(array_value=anyvalue.ArrayValue(values=[Any(string_value="in a list")]))),
    st.just(Any(kvlist_value=anyvalue.KeyValueList(values=[pair("in", Any(string_value="a map"))]))),
)
some_pairs = st.one_of(
    st.builds(pair, some_texts, some_values),
    some_texts.map(lambda key: anyvalue.KeyValue(key=key)),
)


@given(st.lists(some_pairs, max_size=12), st.integers(0, 200))
def test_attributes_mean_what_each_pair_says_in_their_order(pairs: list[anyvalue.KeyValue], before: int) -> None:
    many = [pair(f"k{index}", Any(string_value=str(index))) for index in range(before)] + pairs
    expected: dict[str, str] = {}
    for one in many:
        value = meaning(one.value)
        if value is not None and 0 < len(one.key) <= 1024:
            expected[told(one.key)] = value
        if len(expected) == reports.MAX_ATTRIBUTES:
            break
    sent = pb.AgentDescription(identifying_attributes=many).SerializeToString()
    found = reports.read_attributes(pb.AgentDescription.FromString(sent).identifying_attributes)
    assert list(found.items()) == list(expected.items())


def test_health_is_read_as_a_tree() -> None:
    child = pb.ComponentHealth(status="StatusOK", healthy=True, start_time_unix_nano=2**63)
    health = pb.ComponentHealth(
        last_error="boom",
        status_time_unix_nano=7,
        component_health_map={"pipeline:traces": child},
        attributes=[pair("a", Any(bool_value=True))],
    )
    assert reports.read_health(health) == m.ComponentHealth(
        healthy=False,
        last_error="boom",
        status_time_unix_nano=7,
        components={"pipeline:traces": m.ComponentHealth(True, "StatusOK", "", 2**63)},
        attributes={"a": "true"},
    )


def test_a_deep_health_tree_is_cut() -> None:
    health = pb.ComponentHealth(status="leaf")
    for level in range(20):
        health = pb.ComponentHealth(status=str(level), component_health_map={"c": health})
    found = reports.read_health(health)
    depth = 1
    while found.components:
        found = found.components["c"]
        depth += 1
    assert depth == reports.MAX_HEALTH_DEPTH


def count(health: m.ComponentHealth) -> int:
    return 1 + sum(count(child) for child in health.components.values())


def test_a_wide_health_tree_is_cut_over_all_its_levels() -> None:
    leaves = pb.ComponentHealth(component_health_map={f"l{i}": pb.ComponentHealth() for i in range(100)})
    health = pb.ComponentHealth(component_health_map={f"c{i}": leaves for i in range(100)})
    assert count(reports.read_health(health)) == 1 + reports.MAX_HEALTH_NODES


def test_components_by_hash_only_are_told_from_an_inventory() -> None:
    assert reports.read_components(pb.AvailableComponents(hash=b"h")) == m.ComponentsReported(b"h", None)
    receiver = pb.ComponentDetails(metadata=[pair("code.namespace", Any(string_value="go/otlp v1"))])
    kinds = {"receivers": pb.ComponentDetails(sub_component_map={"otlp": receiver})}
    assert reports.read_components(pb.AvailableComponents(hash=b"h", components=kinds)) == m.ComponentsReported(
        b"h", {"receivers": m.Component({}, {"otlp": m.Component({"code.namespace": "go/otlp v1"})})}
    )


def test_a_huge_inventory_is_cut() -> None:
    kinds = {f"k{i}": pb.ComponentDetails() for i in range(5000)}
    found = reports.read_components(pb.AvailableComponents(components=kinds)).components
    assert found is not None
    assert len(found) == reports.MAX_COMPONENTS


def test_packages_are_read_with_their_progress() -> None:
    statuses = pb.PackageStatuses(
        packages={
            "": pb.PackageStatus(agent_has_version="1", agent_has_hash=b"a"),
            "x": pb.PackageStatus(
                server_offered_version="2",
                server_offered_hash=b"b",
                status=pb.PackageStatusEnum_Downloading,
                download_details=pb.PackageDownloadDetails(download_percent=12.5),
            ),
        },
        server_provided_all_packages_hash=b"all",
        error_message="no space",
    )
    assert reports.read_packages(statuses) == m.PackagesReported(
        {
            "": m.PackageState("1", b"a", "", b"", m.PackageStatus.INSTALLED),
            "x": m.PackageState("", b"", "2", b"b", m.PackageStatus.DOWNLOADING, "", 12.5),
        },
        b"all",
        "no space",
    )


def test_at_most_64_packages_are_kept_and_what_is_said_of_them_is_bounded() -> None:
    long = pb.PackageStatus(agent_has_version="v" * 5000, agent_has_hash=b"h" * 5000, server_offered_hash=b"o" * 5000)
    statuses = pb.PackageStatuses(packages=dict.fromkeys(map(str, range(1000)), long))
    found = reports.read_packages(statuses).packages
    assert list(found) == sorted(map(str, range(1000)))[: reports.MAX_PACKAGES]
    assert {(len(one.version), len(one.hash), len(one.offered_hash)) for one in found.values()} == {(1024, 64, 64)}


@pytest.mark.parametrize("percent", [float("nan"), float("inf"), -1.0, 101.0])
def test_what_is_no_percentage_is_left_out(percent: float) -> None:
    details = pb.PackageDownloadDetails(download_percent=percent)
    statuses = pb.PackageStatuses(packages={"x": pb.PackageStatus(download_details=details)})
    assert reports.read_packages(statuses).packages["x"].download_percent is None


def test_a_status_from_the_future_counts_as_unset() -> None:
    config = pb.RemoteConfigStatus.FromString(b"\x0a\x01h\x10\x63")
    connection = pb.ConnectionSettingsStatus.FromString(b"\x0a\x01h\x10\x63")
    assert reports.read_config_status(config) == m.ConfigStatusReported(b"h", m.ConfigStatus.UNSET)
    assert reports.read_connection_status(connection) == m.ConnectionStatusReported(b"h", m.ConfigStatus.UNSET)


def test_custom_capabilities_are_bounded() -> None:
    names = ["", "x" * 2000, "a", "a", *(f"c{i}" for i in range(200))]
    found = reports.read_custom_capabilities(names)
    assert {"a", "c0"} <= found
    assert len(found) == reports.MAX_CUSTOM_CAPABILITIES
    assert not {"", "x" * 2000} & found


def test_every_sub_message_gives_one_event() -> None:
    message = pb.AgentToServer(
        agent_description=pb.AgentDescription(
            identifying_attributes=[pair("service.name", Any(string_value="s"))],
            non_identifying_attributes=[pair("os.type", Any(string_value="linux"))],
        ),
        health=pb.ComponentHealth(healthy=True),
        effective_config=pb.EffectiveConfig(
            config_map=pb.AgentConfigMap(config_map={"": pb.AgentConfigObject(body=b"a: 1", content_type="text/yaml")})
        ),
        remote_config_status=pb.RemoteConfigStatus(
            last_remote_config_hash=b"h", status=pb.RemoteConfigStatuses_FAILED, error_message="bad"
        ),
        package_statuses=pb.PackageStatuses(),
        connection_settings_request=pb.ConnectionSettingsRequest(
            opamp=pb.OpAMPConnectionSettingsRequest(certificate_request=pb.CertificateRequest(csr=b"pem"))
        ),
        custom_capabilities=pb.CustomCapabilities(capabilities=["x"]),
        custom_message=pb.CustomMessage(capability="x", type="t", data=b"d"),
        available_components=pb.AvailableComponents(hash=b"c"),
        connection_settings_status=pb.ConnectionSettingsStatus(
            last_connection_settings_hash=b"s", status=pb.ConnectionSettingsStatuses_APPLIED
        ),
    )
    assert reports.read_reports(message) == [
        m.Described({"service.name": "s"}, {"os.type": "linux"}),
        m.CustomCapabilitiesReported(frozenset({"x"})),
        m.ComponentsReported(b"c", None),
        m.ConfigStatusReported(b"h", m.ConfigStatus.FAILED, "bad"),
        m.EffectiveReported({"": m.EffectiveObject(b"a: 1", "text/yaml")}),
        m.HealthReported(m.ComponentHealth(True)),
        m.PackagesReported({}, b""),
        m.ConnectionStatusReported(b"s", m.ConfigStatus.APPLIED),
        m.CustomMessageReceived("x", "t", b"d"),
        m.ConnectionSettingsRequested(b"pem"),
    ]


def test_a_present_but_empty_sub_message_is_an_event_and_an_absent_one_is_not() -> None:
    assert reports.read_reports(pb.AgentToServer()) == []
    message = pb.AgentToServer(health=pb.ComponentHealth(), remote_config_status=pb.RemoteConfigStatus())
    assert reports.read_reports(message) == [
        m.ConfigStatusReported(b"", m.ConfigStatus.UNSET),
        m.HealthReported(m.ComponentHealth(False)),
    ]


def test_an_empty_request_for_connection_settings_is_nothing_to_act_on() -> None:
    message = pb.AgentToServer(connection_settings_request=pb.ConnectionSettingsRequest())
    assert reports.read_reports(message) == []
