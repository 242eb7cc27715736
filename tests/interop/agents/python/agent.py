"""An instrumented program's OpAMP side: the published Python client, wired as an SDK distribution wires it.

Runs under the interpreter of a virtual environment of its own, over HTTP, until SIGTERM. Everything that
happens goes to standard output as one JSON object per line; `event` says what it is. A remote configuration
is applied when the client's own decoder reads every entry of it and no body holds the `--reject` text, else
it is reported as failed.
"""

from __future__ import annotations

import argparse
import base64
import json
import signal
import sys
import threading

from opentelemetry._opamp.agent import OpAMPAgent
from opentelemetry._opamp.callbacks import OpAMPCallbacks
from opentelemetry._opamp.client import OpAMPClient
from opentelemetry._opamp.proto import opamp_pb2

APPLIED = opamp_pb2.RemoteConfigStatuses_APPLIED
FAILED = opamp_pb2.RemoteConfigStatuses_FAILED
_printing = threading.Lock()


def emit(event, **values):
    """Prints one line; several threads of the client call this."""
    with _printing:
        print(json.dumps({"event": event, **values}), flush=True)


def describe(name, entry):
    """One entry of a remote configuration; `body` is None when it is not text, `body_base64` is exact."""
    try:
        text = entry.body.decode()
    except UnicodeDecodeError:
        text = None
    exact = base64.b64encode(entry.body).decode()
    return {"name": name, "content_type": entry.content_type, "body": text, "body_base64": exact}


class Distribution(OpAMPCallbacks):
    """What a distribution adds to the client: it takes configurations in and reports on them."""

    def __init__(self, reject):
        self.reject = reject.encode()

    def on_connect(self, agent, client):
        emit("answered")

    def on_connect_failed(self, agent, client, error):
        emit("unreachable", error=str(error))

    def on_error(self, agent, client, error_response):
        kind = opamp_pb2.ServerErrorResponseType.Name(error_response.type)
        emit("refused", type=kind, error=error_response.error_message)

    def on_message(self, agent, client, message):
        offer = message.remote_config
        if offer is None:
            return
        entries = offer.config.config_map
        emit(
            "config",
            hash=offer.config_hash.hex(),
            entries=[describe(name, entries[name]) for name in sorted(entries)],
        )
        error, settings = self.apply(client, offer)
        status = FAILED if error else APPLIED
        if client.update_remote_config_status(offer.config_hash, status, error) is None:
            return  # the same status was reported before
        if not error:
            client.update_effective_config(settings, "application/json")
        # The full state is the client's only message that carries the effective configuration too.
        agent.send(client.build_full_state_message())
        emit("status", hash=offer.config_hash.hex(), status="FAILED" if error else "APPLIED", error=error)

    def apply(self, client, offer):
        """What is wrong with the configuration (empty: nothing), and its entries as the client reads them."""
        for name, entry in offer.config.config_map.items():
            if self.reject and self.reject in entry.body:
                return f"{name}: this program cannot use {self.reject.decode()!r}", {}
        try:
            return "", dict(client.decode_remote_config(offer))
        except Exception as refusal:  # the client's exceptions share no base class
            return str(refusal) or type(refusal).__name__, {}


def pair(text):
    """An attribute given as `name=value`."""
    name, _, value = text.partition("=")
    return name, value


def arguments():
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--endpoint", required=True)
    parser.add_argument("--service-name", required=True)
    parser.add_argument("--identifying", type=pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--attribute", type=pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--header", type=pair, action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--interval", type=float, default=1.0, help="seconds between polls")
    parser.add_argument("--ca", help="file with the certificate authority of an https endpoint")
    parser.add_argument("--reject", default="", help="report FAILED for a body that holds this text")
    return parser.parse_args()


def main():
    """Runs the agent until SIGTERM or SIGINT."""
    given = arguments()
    client = OpAMPClient(
        endpoint=given.endpoint,
        headers=dict(given.header),
        agent_identifying_attributes={"service.name": given.service_name, **dict(given.identifying)},
        agent_non_identifying_attributes=dict(given.attribute),
        tls_certificate=given.ca or True,
    )
    agent = OpAMPAgent(interval=given.interval, callbacks=Distribution(given.reject), client=client)
    asked_to_stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: asked_to_stop.set())
    # The client has no accessor for its own id, and tests must tell agents apart.
    emit("started", instance_uid=client._instance_uid.hex())
    agent.start()
    asked_to_stop.wait()
    agent.stop(timeout=3)
    emit("stopped")
    return 0


if __name__ == "__main__":
    sys.exit(main())
