"""The 74 rules for servers, in our words, by the chapters of the specification."""

from __future__ import annotations

from tests.support.conformance import Force, Rule

MUST, SHOULD, MAY = Force.MUST, Force.SHOULD, Force.MAY

_NO_PACKAGES = "Packages are not offered: the bit OffersPackages is 0."
_NO_CSR = (
    "Certificates are not issued: the bit AcceptsConnectionSettingsRequest is 0, and a request for one is refused with"
    " BAD_REQUEST (rule 53)."
)

TRANSPORT = (
    Rule(
        "1",
        SHOULD,
        "Communication Model",
        "One listener serves WebSocket and plain HTTP together.",
        elsewhere=(
            "tests/interop/test_supervisor.py::test_a_commit_runs_on_the_collector_a_second_one_replaces_it_and_a_revert_brings_it_back",
        ),
    ),
    Rule(
        "2",
        SHOULD,
        "Communication Model",
        "The path is `/v1/opamp` and the port 4320 unless the operator chose others.",
        elsewhere=("tests/protocol/test_post.py::test_the_endpoint_may_have_another_path",),
    ),
    Rule(
        "3",
        SHOULD,
        "Plain HTTP Transport",
        "A POST with the media type of OpAMP is a message; everything else on the path is taken for the opening of a"
        " WebSocket.",
        beyond="Parameters of the media type are taken; the reference server answers them with 400.",
    ),
    Rule(
        "4",
        MUST,
        "Authentication",
        "Who fails to authenticate gets 401 before the upgrade.",
        elsewhere=(
            "tests/protocol/test_tls.py::test_a_required_certificate_that_is_missing_is_named_with_the_address",
            "tests/protocol/test_tls.py::test_a_certificate_of_another_authority_is_refused",
        ),
        in_part="Agents authenticate by client certificate, which is refused in the TLS handshake, before any HTTP."
        " Basic and Bearer are not offered, so nothing is answered with 401.",
    ),
    Rule("5", MUST, "Plain HTTP Transport", "Bodies with and without gzip are taken; another encoding is refused."),
    Rule(
        "6",
        SHOULD,
        "Plain HTTP Transport",
        "The answer is compressed when the client accepts gzip, and has exactly the media type, without parameters.",
    ),
    Rule(
        "7",
        MUST,
        "Plain HTTP Message Size Limits",
        "A body over the limit gets 413, also when only decompression brings it over.",
    ),
    Rule("8", MUST, "Plain HTTP Message Size Limits", "An answer over the limit is not sent, and that is recorded."),
    Rule(
        "9",
        MUST,
        "WebSocket Message Size Limits",
        "A message over the limit, measured after decompression, ends the connection with 1009.",
        beyond="The reference server measures compressed bytes, so a small frame may unpack to any size.",
        elsewhere=("tests/hostile/test_agent_port.py::test_a_compressed_bomb_costs_no_more_memory_than_the_limit",),
    ),
    Rule("10", MUST, "WebSocket Message Size Limits", "A message over the limit is not sent, and that is recorded."),
    Rule(
        "11",
        MAY,
        "Plain HTTP Transport",
        "The header OpAMP-Instance-UID may serve for routing; the body alone says who speaks.",
    ),
    Rule(
        "12",
        MAY,
        "WebSocket Transport",
        "Permessage-deflate may be agreed on; agents work with it and without it.",
    ),
)

FRAMING = (
    Rule("13", MUST, "WebSocket Message Format", "Each message of the server is one binary message with header 0."),
    Rule("14", SHOULD, "WebSocket Message Format", "A header other than 0 makes a message malformed."),
    Rule(
        "15",
        MUST,
        "WebSocket Message Format",
        "The header takes 1 to 10 bytes, and the rest is the message: an over-long zero is a zero.",
        beyond="The reference server fails on an over-long zero.",
    ),
    Rule(
        "16",
        MUST,
        "WebSocket Message Format",
        "A message without any data can be read; it lacks the instance uid, so it is a bad request.",
    ),
    Rule("17", MAY, "WebSocket Message Format", "Messages of old agents without header are still taken."),
    Rule(
        "18",
        SHOULD,
        "WebSocket Message Format",
        "Text is no OpAMP: the connection is closed with 1003.",
        beyond="The reference server says nothing to a text message.",
    ),
)

EXCHANGE = (
    Rule(
        "19",
        MUST,
        "Status Reporting",
        "Every message is answered; with only the instance uid when there is nothing to say.",
    ),
    Rule(
        "20",
        MUST,
        "ServerToAgent.instance_uid",
        "An answer carries the instance uid of the message, whichever agents share the connection.",
    ),
    Rule(
        "21",
        MUST,
        "ServerToAgent.capabilities",
        "The first answer has the capabilities, AcceptsStatus among them, and only those whose feature works.",
    ),
    Rule(
        "22",
        MUST,
        "Status Reporting",
        "An error comes alone, beside the instance uid; without an error the field is not set.",
    ),
    Rule("23", MUST, "Retrying Messages", "A repeated message is answered again and processed once."),
    Rule(
        "24",
        MUST,
        "Bad Request",
        "A malformed message is answered with BAD_REQUEST and words for people.",
        beyond="The reference server answers HTTP 400 without words, and nothing at all on a WebSocket.",
        elsewhere=("tests/hostile/test_agent_port.py::test_garbage_from_the_first_byte_on_breaks_nothing",),
    ),
    Rule(
        "25",
        MUST,
        "Retrying Messages",
        "The server may speak first on a WebSocket; over HTTP the newest of each kind waits for the next poll.",
    ),
)

IDENTITY = (
    Rule(
        "26",
        MUST,
        "Agent Identification",
        "An instance uid has 16 bytes; another length is malformed.",
        beyond="The reference server takes any length.",
    ),
    Rule("27", MUST, "AgentToServerFlags", "An agent that asks for an instance uid gets a real UUIDv7."),
    Rule(
        "28",
        SHOULD,
        "Duplicate instance_uid Detection",
        "Two agents with one instance uid are noticed, and one of them gets another.",
        beyond="The reference server lets both write over each other.",
    ),
    Rule(
        "29",
        MUST,
        "Agent Identification",
        "History goes on under the new instance uid; an agent that ignores it is served on, and not told again and"
        " again.",
    ),
    Rule(
        "30",
        MUST,
        "Using instance_uid in the CSR",
        "A CSR that names an instance uid must name that of the message.",
        not_yet=_NO_CSR,
    ),
)

COMPRESSION = (
    Rule(
        "31",
        MUST,
        "Agent Status Compression",
        "A gap in the numbers, or an agent that is not known, is answered with a question for everything, unless the"
        " message has everything.",
    ),
    Rule(
        "32",
        MUST,
        "Agent Status Compression",
        "What a message leaves out stays as it was; what it has replaces all of what was there.",
    ),
    Rule(
        "33",
        MUST,
        "Agent Status Compression",
        "After a reconnect nothing is asked for again, unless the server lost it.",
        elsewhere=("tests/interop/test_supervisor.py::test_a_restart_of_the_server_sends_nothing_that_already_runs",),
    ),
    Rule(
        "34",
        SHOULD,
        "Agent Status Compression",
        "An agent is not asked for everything again and again.",
        beyond="The reference server asks in every answer to an agent that does not count.",
    ),
    Rule(
        "35",
        MAY,
        "Plain HTTP Transport",
        "A poll may hold nothing but the instance uid; capabilities stay as they were.",
    ),
)

CAPABILITIES = (
    Rule("36", MUST, "Interoperability", "Nothing is sent that the agent does not declare to accept."),
    Rule("37", MUST, "AgentToServer.capabilities", "Capabilities may change, and hold at once."),
    Rule("38", MUST, "Ignorable Capability Extensions", "Fields and bits of a newer protocol are ignored."),
)

CONFIG = (
    Rule("39", MUST, "AgentRemoteConfig", "Every offered configuration has a hash that names its content."),
    Rule(
        "40",
        MUST,
        "RemoteConfigStatus",
        "Who reports another hash than the desired one is offered it; who reports the desired one is not.",
        beyond="A configuration that failed on an agent is not offered to it again until the content changes.",
        elsewhere=(
            "tests/interop/test_supervisor.py::test_an_agent_that_goes_back_by_itself_is_not_sent_what_failed_again",
        ),
    ),
    Rule(
        "41",
        MUST,
        "Configuration Objects",
        "The hash changes exactly when the configuration does; names in it are unique.",
        elsewhere=("tests/unit/opamp/test_offers.py::test_two_objects_with_one_name_are_refused",),
    ),
    Rule(
        "42",
        MUST,
        "RemoteConfigStatus",
        "Statuses are kept with the hash that they name, and never booked on another one.",
        elsewhere=(
            "tests/interop/test_supervisor.py::test_a_collector_that_fails_at_start_gets_its_last_good_configuration_back",
            "tests/interop/test_python_client.py::test_an_application_gets_its_json_objects_and_a_failure_brings_the_last_good_back",
        ),
    ),
    Rule("43", MUST, "EffectiveConfig", "An effective configuration is kept; without the capability none is missed."),
    Rule(
        "44",
        MUST,
        "Configuration",
        "A new configuration reaches a silent agent at once on a WebSocket, and with the next poll over HTTP.",
    ),
)

CONNECTION = (
    Rule(
        "45",
        MUST,
        "ConnectionSettingsOffers",
        "An offer of connection settings has a hash over all that is meant, whatever it leaves out.",
    ),
    Rule(
        "46",
        SHOULD,
        "ConnectionSettingsStatus",
        "Who reports another hash than the offered one is offered the settings again.",
        beyond="Once, and never to agents that do not report its status: today's clients reconnect each time.",
    ),
    Rule("47", MUST, "OpAMPConnectionSettings", "An offer for OpAMP itself names the endpoint."),
    Rule(
        "48",
        MUST,
        "OpAMP Connection Setting Offer Flow",
        "Old credentials hold until the agent has used the new ones.",
        not_yet="Credentials are not made by the server; the operator's authorities say which certificates hold, old"
        " and new ones side by side.",
    ),
    Rule(
        "49",
        SHOULD,
        "Own Telemetry Reporting",
        "Destinations of own telemetry are offered when they are configured and when they change, and not otherwise.",
    ),
    Rule(
        "50",
        MAY,
        "heartbeat_interval_seconds",
        "The interval that is in force decides when an agent counts as silent; without the capability none is"
        " expected.",
    ),
    Rule(
        "51",
        MAY,
        "Trust On First Use",
        "An agent may come without a client certificate and be given one.",
        elsewhere=("tests/protocol/test_tls.py::test_with_request_a_client_may_come_without_a_certificate",),
        in_part="An agent may come without a certificate (client_auth: request). It is not given one. " + _NO_CSR,
    ),
    Rule(
        "52",
        MAY,
        "Agent-initiated CSR Flow",
        "A CSR is judged, approved and answered with a certificate, never with a private key.",
        not_yet=_NO_CSR,
    ),
    Rule("53", MUST, "Agent-initiated CSR Flow", "A CSR that is refused is answered with BAD_REQUEST."),
    Rule(
        "54",
        MUST,
        "Agent-initiated CSR Flow",
        "A CSR may come at any time.",
        not_yet=_NO_CSR,
    ),
    Rule(
        "55",
        MUST,
        "Revoking Access",
        "Revoked credentials are refused, and their connections end.",
        elsewhere=("tests/protocol/test_tls.py::test_an_expired_certificate_is_refused",),
        in_part="An authority, or a certificate's end of life, decides at the handshake; single certificates cannot be"
        " revoked.",
    ),
    Rule(
        "56",
        MUST,
        "ServerCapabilities",
        "The bits for certificates are set only when certificates are issued.",
    ),
)

PACKAGES = (
    Rule("57", MUST, "PackagesAvailable", "Every offer of packages has a hash over all of them.", not_yet=_NO_PACKAGES),
    Rule(
        "58",
        SHOULD,
        "Calculating Hashes",
        "The hash of a package covers all that is said of it and its content.",
        not_yet=_NO_PACKAGES,
    ),
    Rule(
        "59",
        SHOULD,
        "PackageStatuses",
        "Packages are offered again to who reports another hash.",
        not_yet=_NO_PACKAGES,
    ),
    Rule(
        "60",
        SHOULD,
        "DownloadableFile",
        "Downloads are plain GETs, with ranges and with the headers of the offer.",
        not_yet=_NO_PACKAGES,
    ),
    Rule("61", MUST, "Downloading Packages", "An offer names all packages that are wanted.", not_yet=_NO_PACKAGES),
    Rule(
        "62",
        MUST,
        "PackageStatuses",
        "Statuses of packages are taken in every state, also of packages that were never offered.",
    ),
    Rule("63", MUST, "Code Signing", "The signature of a package is passed on unchanged.", not_yet=_NO_PACKAGES),
)

COMMANDS = (
    Rule("64", MUST, "ServerToAgent.command", "A command travels alone, and only to agents that accept it."),
    Rule(
        "65",
        MUST,
        "Custom Messages",
        "Custom capabilities are told; custom messages go only to agents that declare theirs; unknown ones are"
        " ignored.",
    ),
    Rule(
        "66",
        SHOULD,
        "Available Components",
        "Components are asked for when their hash is not known, and never twice for one build.",
        beyond="What one agent told is known for all agents of the same build.",
    ),
)

LIFECYCLE = (
    Rule("67", MUST, "Closing Connection", "An agent that says goodbye is gone at once, over both transports."),
    Rule("68", SHOULD, "AgentDisconnect", "A broken connection takes all its agents with it."),
    Rule("69", MUST, "Closing Connection", "A WebSocket ends with Close frames from both sides."),
    Rule("70", MUST, "Plain HTTP Transport", "Over HTTP missed polls decide who is gone, not the socket."),
    Rule(
        "71",
        SHOULD,
        "Throttling",
        "A server that cannot take an agent says UNAVAILABLE.",
    ),
    Rule(
        "72",
        MAY,
        "Throttling",
        "Before the upgrade, and over HTTP, it says 503 or 429, with a time to wait of 30 seconds or more.",
        beyond="The time differs from agent to agent, so that they do not come back in one second.",
    ),
    Rule(
        "73",
        MUST,
        "ServerToAgent.instance_uid",
        "Agents that share a WebSocket have numbers, states and answers of their own.",
    ),
    Rule(
        "74",
        MAY,
        "Security",
        "Keys that sign code or certificates need not live on the server.",
        elsewhere=("tests/unit/server/test_signer.py::test_a_key_that_others_may_read_is_refused",),
        in_part="The key that signs releases is a file on the server, readable by its owner alone; no key signs code"
        " or certificates. `gitsync verify` checks releases against an exported root, offline.",
    ),
)

SERVER = (
    ("Transport and endpoint", TRANSPORT),
    ("WebSocket framing", FRAMING),
    ("Message exchange", EXCHANGE),
    ("Identity", IDENTITY),
    ("State compression", COMPRESSION),
    ("Capabilities", CAPABILITIES),
    ("Remote configuration", CONFIG),
    ("Connection settings", CONNECTION),
    ("Packages", PACKAGES),
    ("Commands, custom messages, components", COMMANDS),
    ("Lifecycle", LIFECYCLE),
)
"""Chapters with their rules, in the order of their numbers."""
