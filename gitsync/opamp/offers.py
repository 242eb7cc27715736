"""What a server offers, as bytes that are built once and shared by all agents that get it.

Rules
- A serialised message is the concatenation of its fields, and two serialised messages of one kind, one after
  the other, are one message (protobuf, Encoding). So an offer is a *tail* without instance uid, and each
  agent's message is the 18 bytes of its uid, then the tail.
- A configuration without objects stops a Collector; it is built only on the caller's explicit word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gitsync.ids import ConfigHash
from gitsync.opamp.pb import opamp_pb2 as pb
from gitsync.opamp.wire import UID_BYTES

UID_HEAD = b"\x0a\x10"
"""Tag and length of ServerToAgent.instance_uid when it has 16 bytes."""


@dataclass(frozen=True, slots=True)
class SharedOffer:
    """One configuration as it goes on the wire.

    Attributes:
        digest: its config_hash, by which agents report on it.
        tail: serialised ServerToAgent without instance_uid; other tails may follow it.
    """

    digest: ConfigHash
    tail: bytes


def build_remote_config(
    objects: Sequence[tuple[str, str, str, bytes]], config_hash: ConfigHash, *, stop: bool = False
) -> SharedOffer:
    """The offer of a configuration; the same objects give the same bytes.

    Args:
        objects: (name, content type, role, body) of each object, in any order.
        config_hash: opaque to agents; must change exactly when the objects do.
        stop: the configuration is meant to be empty, so that the Collector stops.

    Raises:
        ValueError: no objects without `stop`, objects with `stop`, a name twice, or an empty hash.
    """
    if not config_hash:
        raise ValueError("config_hash is empty; agents could not report on the offer")
    if stop and objects:
        raise ValueError("stop offers an empty configuration, so it takes no objects")
    if not objects and not stop:
        raise ValueError("an empty configuration stops the Collector; say stop=True if that is meant")
    offer = pb.AgentRemoteConfig(config_hash=config_hash)
    offer.config.SetInParent()
    entries = offer.config.config_map
    for name, content_type, role, body in objects:
        if name in entries:
            raise ValueError(f"two objects are named {name!r}")
        entries[name].CopyFrom(pb.AgentConfigObject(body=body, content_type=content_type, role=role))
    message = pb.ServerToAgent(remote_config=offer)
    return SharedOffer(config_hash, message.SerializeToString(deterministic=True))


def custom_message_tail(capability: str, type: str, data: bytes) -> bytes:  # noqa: A002  # the field's name
    """A custom message as a tail: appended to an offer it travels in the same ServerToAgent.

    Only for agents that declared `capability`; a second one in the same message would replace the first.

    Raises:
        ValueError: empty capability.
    """
    if not capability:
        raise ValueError("a custom message needs a capability")
    custom = pb.CustomMessage(capability=capability, type=type, data=data)
    return pb.ServerToAgent(custom_message=custom).SerializeToString()


def identification_tail(new_uid: bytes) -> bytes:
    """A new instance uid as a tail."""
    new = pb.AgentIdentification(new_instance_uid=new_uid)
    return pb.ServerToAgent(agent_identification=new).SerializeToString()


def head(uid: bytes) -> bytes:
    """A serialised ServerToAgent with only its instance uid: the usual answer, and the head of every offer.

    Raises:
        ValueError: `uid` has not 16 bytes.
    """
    if len(uid) != UID_BYTES:
        raise ValueError(f"an instance uid has {UID_BYTES} bytes, not {len(uid)}")
    return UID_HEAD + uid
