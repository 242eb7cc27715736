"""gitsync: a Git repository as the control plane of a fleet of OpenTelemetry agents."""

__version__ = "0.1.0"
