"""A config repository of 200 targets: ten teams with four environments, and regions; every level changes something."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

TEAMS = 10
ENVIRONMENTS = ("dev", "test", "staging", "prod")
REGIONS = (4, 4, 4, 3)
"""How many regions each environment has: 1 + 4 + 15 targets of a team."""
TARGETS = TEAMS * (1 + len(ENVIRONMENTS) + sum(REGIONS))
_GATEWAY = Path(__file__).parent / "gateway.yaml"

_TEAM = """\
processors:
  transform/team:
    error_mode: ignore
    trace_statements:
      - set(span.attributes["team"], "team-{team:02d}") where span.attributes["team"] == nil
      - replace_pattern(span.attributes["db.statement"], "password=[^ ]+", "password=***")
      - set(span.attributes["user.id"], SHA256(span.attributes["user.id"])) where span.attributes["user.id"] != nil
    log_statements:
      - set(log.attributes["team"], "team-{team:02d}")
      - delete_matching_keys(log.attributes, "(?i).*password.*")
service:
  pipelines:
    traces:
      processors: [memory_limiter, k8sattributes, resource, transform, transform/team, filter/noise, batch]
"""
_ENVIRONMENT = """\
processors:
  batch:
    timeout: {seconds}s
  transform/environment:
    trace_statements:
      - set(resource.attributes["deployment.environment.name"], "{environment}")
      - truncate_all(span.attributes, {longest}) where span.kind == SPAN_KIND_SERVER
service:
  pipelines:
    traces:
      processors: [memory_limiter, resource, transform, transform/team, transform/environment, filter/noise, batch]
"""
_REGION = """\
processors:
  memory_limiter:
    limit_percentage: {percentage}
  resource:
    attributes:
      - {{key: cloud.region, value: {region}, action: upsert}}
exporters:
  otlp/backend:
    endpoint: backend.{region}.example.com:4317
"""


def repository(versions: Sequence[str]) -> dict[str, str]:
    """The files by path, for Collectors of these versions."""
    listed = ", ".join(f'"{one}"' for one in versions)
    files = {
        "gitsync.yaml": f"collector: {{distribution: contrib, versions: [{listed}]}}\n",
        "lib/gateway.yaml": _GATEWAY.read_text(),
    }
    for team in range(TEAMS):
        top = f"team-{team:02d}"
        files[f"{top}/target.yaml"] = f"selector:\n  matchLabels: {{team: {top}}}\ninclude: [/lib/gateway.yaml]\n"
        files[f"{top}/team.yaml"] = _TEAM.format(team=team)
        for number, environment in enumerate(ENVIRONMENTS):
            here = f"{top}/env={environment}"
            text = _ENVIRONMENT.format(seconds=team + number + 1, environment=environment, longest=1024 + team)
            files[f"{here}/environment.yaml"] = text
            for region in range(REGIONS[number]):
                name = f"region-{region}"
                text = _REGION.format(percentage=60 + team + region, region=name)
                files[f"{here}/region={name}/region.yaml"] = text
    return files


def write_repository(directory: Path, versions: Sequence[str]) -> None:
    """Puts the files into a directory."""
    for path, text in repository(versions).items():
        file = directory / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
