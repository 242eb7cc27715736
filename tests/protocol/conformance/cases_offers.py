"""Rules 39 to 66: configurations, connection settings, packages, commands, custom messages and components."""

from __future__ import annotations

from gitsync.opamp.messages import ATTESTATION_CAPABILITY, Capability
from gitsync.opamp.pb import opamp_pb2 as pb
from tests.protocol.conformance.cases_exchange import APPLIED_A, JOINED, OFFERED_A, A, B
from tests.support.builders import a_hash
from tests.support.conformance import (
    APPLIED,
    APPLYING,
    BAD_REQUEST,
    COMPONENTS,
    FAILED,
    SUPERVISED,
    Case,
    Forget,
    Hear,
    Known,
    Publish,
    Quiet,
    Say,
    Settle,
    Told,
    beat,
    full,
    message,
    running,
    status,
)

YAML = "receivers: {}\n"
CONFIG = (
    Case(
        "an offer has the hash of its content and the content",
        ("39",),
        (
            *OFFERED_A,
            Say(message(remote_config_status=status(A, APPLIED))),
            Hear(),
            Publish("b"),
            Told(
                Hear(that=lambda heard: [one.body for one in heard.remote_config.config.config_map.values()] == [b"b"])
            ),
            Known("agent.current.digest", B),
        ),
    ),
    Case(
        "an agent that reports another hash is offered the desired one",
        ("40",),
        (
            Publish("a"),
            Say(full(remote_config_status=status(b"something else", APPLIED))),
            Hear(),
            Settle(),
            Say(beat()),
            Hear(config=A),
        ),
    ),
    Case(
        "an agent that reports the desired hash is offered nothing",
        ("40",),
        (
            Publish("a"),
            Say(full(remote_config_status=status(A, APPLIED))),
            Hear(config=b""),
            Settle(),
            Say(beat()),
            Hear(config=b""),
            Say(beat()),
            Hear(only=[]),
            Quiet(),
            # The same content under a new publication is no news either; another content is.
            Publish("a"),
            Quiet(),
            Publish("b"),
            Told(Hear(config=B)),
        ),
    ),
    Case(
        "an offer that was made is not made again before it is answered",
        ("40",),
        (
            *OFFERED_A,
            Say(beat()),
            Hear(config=b""),
            Say(beat()),
            Hear(only=[]),
            Quiet(),
            Publish("b"),
            Told(Hear(config=B)),
        ),
    ),
    Case(
        "an offer that may be lost is made again on the next connection",
        ("40",),
        (*OFFERED_A, Forget(), Say(full()), Hear(), Settle(), Say(beat()), Hear(config=A)),
    ),
    Case(
        "what failed on an agent is not offered to it again until the content changes",
        ("40",),
        (
            *OFFERED_A,
            Say(message(remote_config_status=status(A, FAILED, "no such receiver"))),
            Hear(config=b""),
            Say(beat()),
            Hear(config=b""),
            Publish("a"),
            Quiet(),
            Forget(),
            Say(full(remote_config_status=status(A, FAILED, "no such receiver"))),
            Hear(config=b""),
            Settle(),
            Say(beat()),
            Hear(config=b""),
            Publish("b"),
            Told(Hear(config=B)),
        ),
    ),
    Case(
        "the same content has the same hash for every agent, another content another one",
        ("41",),
        (
            *OFFERED_A,
            Say(full(), by="b"),
            Hear(to="b"),
            Settle(),
            Say(beat(), by="b"),
            Hear(to="b", config=A),
            Publish("b"),
            Told(Hear(config=B)),
            Told(Hear(to="b", config=B)),
        ),
    ),
    *(
        Case(
            f"the status {name} is kept with its hash and its words",
            ("42",),
            (
                *OFFERED_A,
                Say(message(remote_config_status=status(A, state, words))),
                Hear(),
                Known("agent.current.digest", A),
                Known("agent.current.state", name.lower()),
                Known("agent.current.error", words),
                Known("agent.reported.digest", A),
            ),
        )
        for name, state, words in (("APPLYING", APPLYING, ""), ("FAILED", FAILED, "port in use"))
    ),
    Case(
        "a status of an older hash is not booked on the newer one",
        ("42",),
        (
            *APPLIED_A,
            Publish("b"),
            Told(Hear(config=B)),
            Say(message(remote_config_status=status(A, FAILED, "late"))),
            Hear(),
            Known("agent.current.digest", B),
            Known("agent.current.state", "offered"),
            Known("agent.current.error", ""),
        ),
    ),
    Case(
        "an effective configuration is kept",
        ("43",),
        (
            Publish(YAML),
            *JOINED,
            Say(beat()),
            Hear(config=a_hash(YAML)),
            Say(message(effective_config=running(YAML.encode() + b"exporters: {}\n"))),
            Hear(flags=0),
            Say(message(remote_config_status=status(a_hash(YAML), APPLIED))),
            Hear(),
            Known("agent.contained", True),
            Known("agent.current.state", "proven"),
        ),
    ),
    Case(
        "an agent without the capability is not asked for its effective configuration",
        ("43",),
        (
            Publish("a"),
            Say(full(SUPERVISED & ~int(Capability.REPORTS_EFFECTIVE_CONFIG))),
            Hear(flags=0),
            Settle(),
            Say(beat(SUPERVISED & ~int(Capability.REPORTS_EFFECTIVE_CONFIG))),
            Hear(config=A, flags=0),
            Say(
                message(SUPERVISED & ~int(Capability.REPORTS_EFFECTIVE_CONFIG), remote_config_status=status(A, APPLIED))
            ),
            Hear(flags=0),
            Known("agent.current.state", "proven"),
        ),
    ),
    Case(
        "a new configuration reaches an agent that said nothing since its last report",
        ("44",),
        (*APPLIED_A, Publish("b"), Told(Hear(config=B)), Quiet()),
    ),
)

_CSR = pb.ConnectionSettingsRequest(
    opamp=pb.OpAMPConnectionSettingsRequest(certificate_request=pb.CertificateRequest(csr=b"-----BEGIN"))
)
CERTIFICATES = (
    Case(
        "a request for a certificate is refused in words",
        ("53", "56"),
        (
            *JOINED,
            Say(message(connection_settings_request=_CSR)),
            Hear(error=BAD_REQUEST, says=["certificate"]),
            Say(beat()),
            Hear(only=[]),
        ),
    ),
    Case(
        "a request for a certificate in the first message is refused, too",
        ("53",),
        (Say(full(connection_settings_request=_CSR)), Hear(error=BAD_REQUEST), Say(beat()), Hear(has=["capabilities"])),
    ),
)


def _package(state: int, **fields: object) -> pb.PackageStatus:
    return pb.PackageStatus(name="agent", agent_has_version="1.0", status=state, **fields)  # type: ignore[arg-type]  # by name


_PACKAGED = SUPERVISED | int(Capability.ACCEPTS_PACKAGES | Capability.REPORTS_PACKAGE_STATUSES)
PACKAGES = (
    *(
        Case(
            f"the status {name} of a package that was never offered is taken",
            ("62",),
            (
                Say(full(_PACKAGED, package_statuses=pb.PackageStatuses())),
                Hear(flags=0, lacks=["packages_available"]),
                Settle(),
                Say(message(_PACKAGED, package_statuses=pb.PackageStatuses(packages={"agent": one}))),
                Hear(only=[]),
                Say(beat(_PACKAGED)),
                Hear(only=[]),
            ),
        )
        for name, one in (
            ("Installed", _package(0)),
            ("InstallPending", _package(1)),
            ("Installing", _package(2)),
            ("InstallFailed", _package(3, error_message="no space")),
            ("Downloading", _package(4, download_details=pb.PackageDownloadDetails(download_percent=12.5))),
        )
    ),
    Case(
        "an agent that promises package statuses and leaves them out is asked for everything",
        ("62", "31"),
        (Say(full(_PACKAGED)), Hear(flags=1)),
    ),
)

_BUILT = SUPERVISED | int(Capability.REPORTS_AVAILABLE_COMPONENTS)
_BUILD = {"receivers": pb.ComponentDetails(sub_component_map={"otlp": pb.ComponentDetails()})}
COMPONENTS_AND_MESSAGES = (
    Case(
        "components are asked for once for all agents of one build",
        ("66",),
        (
            Say(full(_BUILT)),
            Hear(),
            Settle(),
            Told(Hear(flags=COMPONENTS), poll=beat(_BUILT)),
            Say(message(_BUILT, available_components=pb.AvailableComponents(hash=b"build-1", components=_BUILD))),
            Hear(flags=0),
            Say(beat(_BUILT)),
            Hear(only=[]),
            Say(full(_BUILT), by="b"),
            Hear(to="b", flags=0),
            Settle(),
            Say(beat(_BUILT), by="b"),
            Hear(to="b", only=[]),
            Quiet(),
            Say(full(_BUILT, available_components=pb.AvailableComponents(hash=b"build-2")), by="c"),
            Hear(to="c"),
            Settle(),
            Told(Hear(to="c", flags=COMPONENTS), poll=beat(_BUILT)),
        ),
    ),
    Case(
        "an agent that does not tell its components is not asked again and again",
        ("66", "34"),
        (
            Say(full(_BUILT)),
            Hear(),
            Settle(),
            Told(Hear(flags=COMPONENTS), poll=beat(_BUILT)),
            Say(beat(_BUILT)),
            Hear(flags=0),
            Say(beat(_BUILT)),
            Hear(flags=0),
            Quiet(),
        ),
    ),
    Case(
        "the first answer names the custom capabilities of the server",
        ("65",),
        (
            Say(full()),
            Hear(that=lambda heard: ATTESTATION_CAPABILITY in heard.custom_capabilities.capabilities),
            Settle(),
            Say(beat()),
            Hear(lacks=["custom_capabilities"]),
        ),
    ),
    Case(
        "a custom message that the server does not know is ignored",
        ("65",),
        (
            *JOINED,
            Say(message(custom_message=pb.CustomMessage(capability="org.example.x", type="t", data=b"d"))),
            Hear(only=[]),
            Say(message(custom_message=pb.CustomMessage(capability=ATTESTATION_CAPABILITY, type="what?"))),
            Hear(only=[]),
        ),
    ),
    Case(
        "a configuration for an agent that declares no custom capability travels without a custom message",
        ("65",),
        (Publish("a"), *JOINED, Say(beat()), Hear(config=A, lacks=["custom_message"])),
    ),
)

CASES = (*CONFIG, *CERTIFICATES, *PACKAGES, *COMPONENTS_AND_MESSAGES)
