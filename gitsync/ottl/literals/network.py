"""Networks as `IsInCIDR` takes them: an address, `/`, and the length of the prefix. Source: Go, net.ParseCIDR."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from gitsync.wording import quoted

_PREFIX: Final = re.compile(r"[0-9]{1,9}")


def network_problem(text: str) -> str | None:
    """Why this is no network; None when it is one. Bits behind the prefix may be set."""
    address, slash, prefix = text.partition("/")
    if not slash or not _PREFIX.fullmatch(prefix) or "%" in address:
        return f"{quoted(text)} is no network: it must look like 10.0.0.0/8"
    try:
        longest = ipaddress.ip_address(address).max_prefixlen
    except ValueError:
        return f"{quoted(text)} is no network: {quoted(address)} is no address"
    if int(prefix) > longest:
        return f"{quoted(text)} is no network: a prefix has {longest} bits at most"
    return None
