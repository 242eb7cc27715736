"""The 15 rules for agents, which the simulated agents keep, in our words."""

from __future__ import annotations

from tests.support.conformance import Force, Rule

MUST, SHOULD, MAY = Force.MUST, Force.SHOULD, Force.MAY

AGENT = (
    Rule(
        "A1",
        MUST,
        "Plain HTTP Transport",
        "A POST has the media type, the instance uid as a header, and is the only one in flight; polls come at least"
        " every 30 s or at the offered interval.",
    ),
    Rule(
        "A2",
        MUST,
        "Status Reporting",
        "The first message tells everything; each one has the capabilities, ReportsStatus among them, and no bit that"
        " is not defined.",
    ),
    Rule(
        "A3",
        MUST,
        "Status Reporting",
        "A report that says nothing new is not sent; numbers rise by one.",
    ),
    Rule(
        "A4",
        MUST,
        "ServerToAgentFlags",
        "Asked for everything, the agent tells everything; asked for its components, it tells all of them.",
    ),
    Rule(
        "A5",
        MUST,
        "Agent Identification",
        "A new instance uid is used from the next message on.",
        in_part="A simulated agent has no certificate, so it asks for no new one when its instance uid changes.",
    ),
    Rule(
        "A6",
        SHOULD,
        "RemoteConfigStatus",
        "A configuration is answered with APPLYING, then APPLIED or FAILED with a reason, under its hash.",
    ),
    Rule("A7", SHOULD, "RemoteConfigStatus", "The same hash again changes nothing, and is not answered by a status."),
    Rule(
        "A8",
        MUST,
        "Connection Settings",
        "Settings for OpAMP are tried before they are kept; a failure goes back to the old ones; both are reported.",
        in_part="The client's state tells what was offered and reports what became of it. Simulated agents keep the"
        " address that they were started with: they have no storage, so they refuse another one, and say FAILED.",
    ),
    Rule(
        "A9",
        MUST,
        "heartbeat_interval_seconds",
        "Heartbeats come at the offered interval, counted from the last message; 0 means none; polls keep it, too.",
    ),
    Rule(
        "A10",
        SHOULD,
        "Packages",
        "Packages are compared, downloaded, checked and listed.",
        not_yet="Simulated agents have no packages and do not declare that they accept any.",
    ),
    Rule("A11", MUST, "ServerToAgent.command", "A command is executed, the rest of its message ignored."),
    Rule(
        "A12",
        MUST,
        "Closing Connection",
        "The last message says goodbye, and then the WebSocket is closed. There is one connection at a time.",
    ),
    Rule(
        "A13",
        SHOULD,
        "Throttling",
        "A lost connection is made again with growing waits; times to wait are kept; what was refused is not sent"
        " again.",
    ),
    Rule(
        "A14",
        MUST,
        "Message Size Limits",
        "What is received has a limit, after decompression; beyond it the connection ends.",
    ),
    Rule(
        "A15",
        MAY,
        "Security",
        "An agent has few rights of its own, and lists of its own that no configuration overrides.",
        not_yet="Simulated agents run nothing, so there is nothing to protect.",
    ),
)
