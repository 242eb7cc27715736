"""`Inventory`: which components the builds of agents contain; asked for and stored once per build."""

from __future__ import annotations

from gitsync.control.connected import ConnectedAgent, components_body
from gitsync.control.facts import Facts
from gitsync.opamp.messages import ComponentsReported

COMPONENTS = "components"
COMPONENTS_LIMIT = 10_000


class Inventory:
    """The hashes whose components are known."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._known: set[bytes] = set()

    def take(self, one: ConnectedAgent, event: ComponentsReported) -> None:
        """What an agent says of its build: the components, or only their hash."""
        if event.components is not None:
            if len(self._known) >= COMPONENTS_LIMIT:
                self._known.clear()
            self._known.add(event.hash)
            self._facts.keep(event.hash, COMPONENTS, components_body(event.components))
        elif event.hash not in self._known:
            one.session.request_components()
