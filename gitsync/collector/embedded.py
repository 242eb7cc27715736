"""Where OTTL stands in the settings of components: which texts belong together, and in which context they are read.

Only places are decided here; what a text may say is judged by `ottl`. Where a component reads its OTTL only when the
Collector starts, a fault in it is no error to the Collector's own `validate`: such a site says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping, Node, Scalar, Sequence, kind
from gitsync.collector.settings import Settings
from gitsync.ottl.judge import SIGNAL_CONTEXTS
from gitsync.wording import did_you_mean, quoted

Stage: TypeAlias = Literal["validate", "construct", "start"]


@dataclass(frozen=True, slots=True)
class Site:
    """Texts of one group; usually one of the three kinds is there.

    Attributes:
        component: whose functions may be used (`processor/transform`).
        context: in which they are read; None: to be inferred from all texts together.
        candidates: contexts that inference may choose, in no order.
        separately: whether each text has a context of its own.
        stage: when the component reads them: with its `Validate()`, when it is built, or when it starts.
        fallback: the context when none can be inferred; None: that is an error.
        statements: with an editor.
        conditions: true or false.
        values: expressions of a value.
    """

    component: str
    context: str | None
    candidates: tuple[str, ...] = ()
    separately: bool = False
    stage: Stage = "validate"
    fallback: str | None = None
    statements: tuple[Scalar, ...] = ()
    conditions: tuple[Scalar, ...] = ()
    values: tuple[Scalar, ...] = ()

    @property
    def texts(self) -> tuple[Scalar, ...]:
        """All of them, at least one."""
        return (*self.statements, *self.conditions, *self.values)


Sites: TypeAlias = Iterator[Site]

_SIGNALS = {signal.removesuffix("s"): contexts for signal, contexts in SIGNAL_CONTEXTS.items()}
_FILTERS = {
    "traces": {"resource": "resource", "span": "span", "spanevent": "spanevent"},
    "metrics": {"resource": "resource", "metric": "metric", "datapoint": "datapoint"},
    "logs": {"resource": "resource", "log_record": "log"},
    "profiles": {"resource": "resource", "profile": "profile"},
}
_COUNTED = {
    "spans": "span",
    "spanevents": "spanevent",
    "metrics": "metric",
    "datapoints": "datapoint",
    "logs": "log",
    "profiles": "profile",
}
TRANSFORMED = tuple(dict.fromkeys(context for contexts in _SIGNALS.values() for context in contexts))
"""Every context that the transform processor has."""
_ROUTED = ("otelcol", "resource", "span", "metric", "datapoint", "log")
_DEEPEST_POLICY = 8
_GROUP_KEYS = ("context", "conditions", "statements", "error_mode")
_MODES = ("ignore", "propagate", "silent")
_TEXTUAL = ("str", "null")


def sites(settings: Settings, findings: Findings) -> Sites:
    """The groups of OTTL in the settings of a component; what is no group at all is reported (GS1032, GS1020)."""
    find = _PLACES.get(settings.component)
    if find is not None:
        yield from find(settings, findings)


def _transform(settings: Settings, findings: Findings) -> Sites:
    """processor/transformprocessor/config.go `Unmarshal`, `Validate`."""
    for signal, contexts in _SIGNALS.items():
        for group in _groups(settings, f"{signal}_statements", "statements", findings):
            context = _context(group.context, contexts, f"{signal}_statements", findings)
            if context != "" and group.texts:
                yield Site(
                    "processor/transform", context, contexts, statements=group.texts, conditions=group.conditions
                )


def _filter(settings: Settings, findings: Findings) -> Sites:
    """processor/filterprocessor/config.go `Validate`."""
    for signal, contexts in _SIGNALS.items():
        allowed = tuple(one for one in contexts if one != "exemplar")
        for group in _groups(settings, f"{signal}_conditions", "conditions", findings):
            context = _context(group.context, allowed, f"{signal}_conditions", findings)
            if context != "" and group.texts:
                yield Site("processor/filter", context, allowed, separately=True, conditions=group.texts)
    for section, keys in _FILTERS.items():
        for key, context in keys.items():
            texts = _texts(settings.node(section, key))
            if texts:
                yield Site("processor/filter", context, conditions=texts)


def _tail_sampling(settings: Settings, _: Findings) -> Sites:
    """processor/tailsamplingprocessor/processor.go `getPolicyEvaluator`."""
    waiting = [(one, 0) for one in settings.items("policies")]
    while waiting:
        policy, depth = waiting.pop()
        for key in ("span", "spanevent"):
            texts = _texts(policy.node("ottl_condition", key))
            if texts:
                yield Site("processor/tail_sampling", key, stage="start", conditions=texts)
        if depth < _DEEPEST_POLICY:
            for word in ("and", "composite", "drop"):
                waiting.extend((one, depth + 1) for one in policy.items(word, f"{word}_sub_policy"))
            waiting.extend((one, depth + 1) for one in policy.items("not", "not_sub_policy"))


def _counted(settings: Settings, _: Findings) -> Sites:
    """connector/countconnector/config.go `Validate`, and that of the sum connector."""
    for section, context in _COUNTED.items():
        for _name, metric in settings.entries(section):
            texts = _texts(metric.node("conditions"))
            if texts:
                yield Site(settings.component, context, conditions=texts)


def _signal_to_metrics(settings: Settings, _: Findings) -> Sites:
    """connector/signaltometricsconnector/config/config.go `Validate`."""
    for section in ("spans", "datapoints", "logs", "profiles"):
        context = _COUNTED[section]
        for metric in settings.items(section):
            conditions = _texts(metric.node("conditions"))
            places = [("histogram", "count"), ("histogram", "value"), ("sum", "value"), ("gauge", "value")]
            places += [("exponential_histogram", "count"), ("exponential_histogram", "value")]
            values = [one for path in places for one in _expression(metric.node(*path))]
            for attribute in metric.items("attributes"):
                values.extend(_expression(attribute.node("keys_expression")))
            if conditions:
                yield Site(settings.component, context, conditions=conditions)
            if values:
                yield Site(settings.component, context, values=tuple(values))


def _routing(settings: Settings, _: Findings) -> Sites:
    """connector/routingconnector/router.go `registerRouteConsumers`; the context `request` is no OTTL."""
    for route in settings.items("table"):
        context = route.text("context")
        if context is None or context not in ("", *_ROUTED):
            continue
        statements, conditions = _expression(route.node("statement")), _expression(route.node("condition"))
        if statements or conditions:
            yield Site(
                settings.component,
                context or None,
                _ROUTED,
                stage="construct",
                fallback="resource",
                statements=statements,
                conditions=conditions,
            )


def _log_dedup(settings: Settings, _: Findings) -> Sites:
    """processor/logdedupprocessor/factory.go `createLogsProcessor`."""
    texts = _texts(settings.node("conditions"))
    if texts:
        yield Site(settings.component, "log", conditions=texts)


_PLACES: dict[str, Callable[[Settings, Findings], Sites]] = {
    "processor/transform": _transform,
    "processor/filter": _filter,
    "processor/tail_sampling": _tail_sampling,
    "processor/log_dedup": _log_dedup,
    "processor/logdedup": _log_dedup,
    "connector/count": _counted,
    "connector/sum": _counted,
    "connector/signal_to_metrics": _signal_to_metrics,
    "connector/signaltometrics": _signal_to_metrics,
    "connector/routing": _routing,
}


@dataclass(frozen=True, slots=True)
class _Group:
    context: Scalar | None
    texts: tuple[Scalar, ...]
    conditions: tuple[Scalar, ...]


def _groups(settings: Settings, key: str, inner: str, findings: Findings) -> Iterator[_Group]:
    """The groups of a list that is written flat, as texts, or as maps with a context; never mixed."""
    node = settings.node(key)
    if node is None or (isinstance(node, Scalar) and "${" in node.text):
        return
    if not isinstance(node, Sequence):
        message = f"{quoted(key)} must be a list of {inner}, not {kind(node)}"
        findings.error(node.origin, "GS1032", message, 'write each one as "- …"')
        return
    flat: list[Scalar] = []
    maps: list[Mapping] = []
    for item in node.items:
        if isinstance(item, Mapping):
            maps.append(item)
        elif isinstance(item, Scalar) and item.tag == "str":
            flat.append(item)
        else:
            findings.error(item.origin, "GS1032", f"{quoted(key)} lists {inner}, this is {kind(item)}")
    # The transform processor takes texts behind groups, and refuses the other order.
    if flat and maps and (inner == "conditions" or flat[0].origin < maps[-1].origin):
        later = max(flat[0].origin, maps[0].origin)
        hint = f"move the texts into a group of their own: - {inner}: […]"
        findings.error(later, "GS1032", f"{quoted(key)} mixes {inner} with groups of them", hint)
        return
    if flat:
        yield _Group(None, tuple(flat), ())
    for item in maps:
        _check_keys(item, inner, findings)
        context = item.get("context")
        conditions = _texts(item.get("conditions")) if inner != "conditions" else ()
        known = context if isinstance(context, Scalar) and context.tag == "str" and context.text else None
        yield _Group(known, _texts(item.get(inner)), conditions)


def _check_keys(group: Mapping, inner: str, findings: Findings) -> None:
    keys = ("context", "conditions", "error_mode") if inner == "conditions" else _GROUP_KEYS
    for entry in group.entries:
        if entry.key not in keys:
            hint = "" if findings.full else did_you_mean(entry.key, keys) or f"a group has {', '.join(keys)}"
            findings.error(entry.key_origin, "GS0231", f"{quoted(entry.key)} is not a setting of a group", hint)
    mode = group.get("error_mode")
    if isinstance(mode, Scalar) and mode.tag == "str" and "${" not in mode.text and mode.text.lower() not in _MODES:
        hint = did_you_mean(mode.text, _MODES) or f"one of {', '.join(_MODES)}"
        findings.error(mode.origin, "GS0234", f'"error_mode" cannot be {quoted(mode.text)}', hint)


def _context(written: Scalar | None, allowed: tuple[str, ...], key: str, findings: Findings) -> str | None:
    """The context of a group; None when it is to be inferred, "" when it is not known or wrong (reported)."""
    if written is None:
        return None
    wanted = written.text.lower()
    if "${" in wanted:
        return ""
    if wanted in allowed:
        return wanted
    hint = "" if findings.full else did_you_mean(wanted, allowed) or f"contexts here: {', '.join(allowed)}"
    findings.error(written.origin, "GS1020", f"{quoted(key)} has no context {quoted(written.text)}", hint)
    return ""


def _texts(node: Node | None) -> tuple[Scalar, ...]:
    """The texts of a list, as the Collector decodes it: null is an empty text, and one text is split at commas."""
    if isinstance(node, Scalar) and node.tag == "str" and node.text:
        if "," not in node.text or "${" in node.text:
            return (node,)
        return tuple(Scalar("str", part, node.origin) for part in node.text.split(","))
    items = node.items if isinstance(node, Sequence) else ()
    scalars = [one for one in items if isinstance(one, Scalar)]
    return tuple(Scalar("str", "", one.origin) if one.tag == "null" else one for one in scalars if one.tag in _TEXTUAL)


def _expression(node: Node | None) -> tuple[Scalar, ...]:
    """A single text; nothing when it is absent or empty."""
    return (node,) if isinstance(node, Scalar) and node.tag == "str" and node.text else ()
