"""Small config repositories as texts."""

from __future__ import annotations

from tests.support.configrepo import QUIET


def collector(port: int = 4317, *, exporter: str = "debug") -> str:
    """A whole Collector configuration."""
    return f"""\
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:{port}
exporters:
  {exporter}: {{}}
service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [{exporter}]
"""


FLEET = {
    "gitsync.yaml": f"apiVersion: gitsync/v1\nkind: Repository\n{QUIET}",
    "agents/target.yaml": "selector:\n  matchLabels: {role: agent}\n",
    "agents/collector.yaml": collector(4317),
    "gateways/target.yaml": "selector:\n  matchLabels: {role: gateway}\n",
    "gateways/collector.yaml": collector(5317),
}
"""Two targets: agents and gateways."""
