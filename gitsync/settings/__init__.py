"""Settings of the service: one YAML file, `GITSYNC_*` environment variables over it, flags on top.

Unknown keys are errors. Environment names follow the file: `server.listen.http` is `GITSYNC_SERVER__LISTEN__HTTP`.
Variables without `__` are left alone (the clients' own ones, and those that Kubernetes makes for a Service called
`gitsync`), but for the few in `SHORT_NAMES`. Empty values, in the file and in the environment, count as not set.
A setting whose name ends in `_file` is read when it is used, so that a renewed secret needs no restart. What is
understood but not built yet is accepted and named by `notices`.

Belongs here: keys, their defaults, and the errors about them. Does not belong here: what is done with them; `app` fills
the options of the drivers.
"""

from gitsync.settings.loading import PREFIX, SHORT_NAMES, load_settings
from gitsync.settings.model import Settings, default_data_dir
from gitsync.settings.notation import parse_address, parse_duration, show_duration

__all__ = [
    "PREFIX",
    "SHORT_NAMES",
    "Settings",
    "default_data_dir",
    "load_settings",
    "parse_address",
    "parse_duration",
    "show_duration",
]
