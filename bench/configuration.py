"""The config repository of the measurements: three targets, one of which all agents match."""

from __future__ import annotations

_SMALL = """\
receivers:
  otlp:
    protocols:
      grpc:
        endpoint: 127.0.0.1:{port}
exporters:
  debug: {{}}
service:
  pipelines:
    traces:
      receivers: [otlp]
      exporters: [debug]
"""

FLEET = {
    "gitsync.yaml": "apiVersion: gitsync/v1\nkind: Repository\n",
    "agents/target.yaml": "selector:\n  matchLabels: {role: agent}\n",
    "agents/deployment.environment.name=staging/batch.yaml": "processors:\n  batch:\n    timeout: 1s\n",
    "gateways/target.yaml": "selector:\n  matchLabels: {role: gateway}\n",
    "gateways/collector.yaml": _SMALL.format(port=5317),
}
"""Everything but the file that changes, `agents/collector.yaml`."""

_ACTIONS = 4


def collector_yaml(kib: int, number: int) -> str:
    """A Collector's configuration of about `kib` KiB, another one for each number.

    It is written as gitsync itself writes what it compiled, so that both servers send the same bytes.
    """
    one, two = (len(_collector(count, number)) for count in (1, 2))
    return _collector(1 + round((kib * 1024 - one) / (two - one)), number)


def _collector(processors: int, number: int) -> str:
    names = [f"attributes/part-{one:04d}" for one in range(processors)]
    lines = ["exporters:", "  debug: {}", "processors:"]
    for place, name in enumerate(names):
        lines += [f"  {name}:", "    actions:"]
        for action in range(_ACTIONS):
            lines += ["      - action: insert", f"        key: bench.attribute.{place:04d}.{action:02d}"]
            lines.append(f"        value: change-{number:06d}-and-letters-that-make-the-file-as-large-as-it-should-be")
    lines += ["receivers:", "  otlp:", "    protocols:", "      grpc:", '        endpoint: "127.0.0.1:4317"']
    lines += ["service:", "  pipelines:", "    traces:", "      exporters:", "        - debug", "      processors:"]
    lines += [f"        - {name}" for name in names]
    lines += ["      receivers:", "        - otlp"]
    return "\n".join(lines) + "\n"
