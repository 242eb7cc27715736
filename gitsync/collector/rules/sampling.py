"""Sampling of traces and logs: tail_sampling, probabilistic_sampler.

The policies of tail_sampling are read when the Collector starts: `validate` takes any, so what is wrong is a warning.
"""

from __future__ import annotations

import math
import struct

from gitsync.collector.findings import Findings
from gitsync.collector.node import Mapping, Sequence, is_null
from gitsync.collector.rules import Rules
from gitsync.collector.rules.demands import (
    AT_START,
    EXCLUSIVE,
    MISSING,
    NO_EFFECT,
    RANGE,
    REFUSED,
    given,
    known_texts,
    one_of,
    whole,
)
from gitsync.collector.rules.matching import warn_regex
from gitsync.collector.settings import Settings, is_known
from gitsync.wording import did_you_mean, quoted

_STRATEGIES = ("trace-complete", "span-ingest")
_MOST_SHARDS = 256
_SHARDS = (0, 150, 0)
"""Since about then there are shards, and the storage is checked."""
_SHARED = (
    "always_sample",
    "latency",
    "numeric_attribute",
    "probabilistic",
    "status_code",
    "string_attribute",
    "rate_limiting",
    "bytes_limiting",
    "span_count",
    "trace_state",
    "boolean_attribute",
    "ottl_condition",
    "trace_flags",
)
_CONFIGURED = tuple(one for one in _SHARED if one not in ("always_sample", "trace_flags"))
_TYPES = (*_SHARED, "and", "not", "drop", "composite")
_INNER = {
    "and": ("and_sub_policy", (*_SHARED, "not")),
    "drop": ("drop_sub_policy", (*_SHARED, "not")),
    "not": ("not_sub_policy", _SHARED),
    "composite": ("composite_sub_policy", (*_SHARED, "and")),
}
"""Types that hold others: the key of those, and the types that they may have."""
_DEEPEST = 3
_STATEFUL = ("rate_limiting", "bytes_limiting")
_CODES = ("OK", "ERROR", "UNSET")
_SMALLEST = 2.0**-56
"""The smallest ratio that 56 bits of randomness can express (pkg/sampling/probability.go)."""
_DIGITS = 14


def check_tail_sampling(settings: Settings, findings: Findings) -> None:
    """Strategy, shards and storage (processor/tailsamplingprocessor/config.go `Validate`)."""
    if not settings.text("sampling_strategy", default=""):
        one_of(settings, findings, _STRATEGIES, "sampling_strategy")
    shards = whole(settings, "num_shards")
    if shards is not None and shards > _MOST_SHARDS:
        findings.error(settings.place("num_shards"), RANGE, f'"num_shards" must be at most {_MOST_SHARDS}')
    if not settings.has("tail_storage") or settings.version < _SHARDS:
        return
    if shards is not None and shards > 1:
        message = '"num_shards" above 1 is not possible with a "tail_storage"'
        findings.error(settings.place("num_shards"), EXCLUSIVE, message, "remove one of them")
    message = '"tail_storage" needs the feature gate processor.tailsamplingprocessor.tailstorageextension'
    findings.error(settings.key_place("tail_storage"), REFUSED, message, "it is off by default")


def check_policy_keys(settings: Settings, findings: Findings) -> None:
    """Keys that a policy does not know are settings of extensions, so they are maps (config.go `ExtensionCfg`)."""
    waiting = [(policy, tuple(_INNER)) for policy in settings.items("policies")]
    while waiting:
        policy, groups = waiting.pop()
        known = ("name", "type", *_CONFIGURED, *groups)
        for entry in policy.here.entries:
            if (
                entry.key in known
                or is_null(entry.value)
                or isinstance(entry.value, Mapping)
                or not is_known(entry.value)
            ):
                continue
            hint = did_you_mean(entry.key, known) or f"known: {', '.join(known)}"
            findings.error(entry.key_origin, "GS0231", f"{quoted(entry.key)} is no setting of a policy", hint)
        for group in groups:
            key, inner = _INNER[group]
            deeper = tuple(one for one in inner if one in _INNER)
            waiting.extend((one, deeper) for one in policy.items(group, key))


def check_policies(settings: Settings, findings: Findings) -> None:
    """Policies, read at the start (processor.go `loadSamplingPolicies`, `getPolicyEvaluator`)."""
    policies = settings.node("policies")
    if policies is None or (isinstance(policies, Sequence) and not policies.items):
        message = "without policies, tail_sampling drops every trace"
        hint = "add a policy, as in - {name: all, type: always_sample}"
        findings.warning(settings.place("policies"), NO_EFFECT, message, hint)
    seen: set[str] = set()
    for policy in settings.items("policies"):
        name = policy.text("name")
        if name == "":
            message = 'a policy needs a "name": the Collector does not start'
            findings.warning(policy.place("name"), AT_START, message)
        elif name is not None and name in seen:
            message = f"there is another policy {quoted(name)}: the Collector does not start"
            findings.warning(policy.place("name"), AT_START, message, "give each a name of its own")
        seen.add(name or "")
        _check_policy(policy, findings, _TYPES, settings.text("sampling_strategy") == "span-ingest")


def _check_policy(policy: Settings, findings: Findings, types: tuple[str, ...], ingest: bool, depth: int = 0) -> None:
    kind = policy.text("type")
    if kind is None or not _check_type(policy, findings, kind, types):
        return
    if ingest and kind in _STATEFUL:
        message = f"a policy {kind} does not work with sampling_strategy span-ingest: the Collector does not start"
        findings.warning(policy.place("type"), AT_START, message, "use sampling_strategy: trace-complete")
    _check_own(policy, findings, kind)
    if kind not in _INNER or depth > _DEEPEST:
        return
    key, inner = _INNER[kind]
    if given(policy, kind, key) is False:
        findings.warning(policy.place(kind), NO_EFFECT, f'the policy {kind} has no "{key}"')
    for one in policy.items(kind, key):
        _check_policy(one, findings, inner, ingest, depth + 1)
    if kind == "composite":
        _check_composite(policy.below(kind), findings)


def _check_type(policy: Settings, findings: Findings, kind: str, types: tuple[str, ...]) -> bool:
    if kind in types:
        return True
    if not kind:
        message = 'a policy needs a "type": the Collector does not start'
        findings.warning(policy.place("type"), AT_START, message, f"known: {', '.join(types)}")
    elif kind in _TYPES:
        message = f"a policy {quoted(kind)} cannot stand in {quoted(policy.path[-2])}: the Collector does not start"
        findings.warning(policy.place("type"), AT_START, message, f"possible: {', '.join(types)}")
    elif not policy.has(kind):  # an extension may bring a type, with settings under its name
        message = f"there is no type of policy {quoted(kind)}: the Collector does not start"
        hint = did_you_mean(kind, types) or f"known: {', '.join(types)}"
        findings.warning(policy.place("type"), AT_START, message, hint)
    return False


def _check_own(policy: Settings, findings: Findings, kind: str) -> None:
    """Settings of one type of policy; those of other types are ignored."""
    own = policy.below(kind)
    if kind not in ("always_sample", "trace_flags", "status_code", *_INNER) and not policy.has(kind):
        message = f"the policy has the type {kind}, but no settings under {quoted(kind)}"
        findings.warning(policy.place("type"), NO_EFFECT, message)
    elif kind == "status_code":
        _check_codes(own, findings)
    elif kind == "string_attribute" and own.flag("enabled_regex_matching"):
        for node in known_texts(own, "values"):
            warn_regex(node, findings, "the Collector does not start")
    elif kind == "numeric_attribute":
        least, most = whole(own, "min_value"), whole(own, "max_value")
        if least and most and most < least:  # 0 means no limit
            message = '"max_value" is smaller than "min_value", so nothing matches'
            findings.warning(own.place("max_value"), NO_EFFECT, message)


def _check_codes(own: Settings, findings: Findings) -> None:
    if given(own, "status_codes") is False:
        message = 'the policy needs "status_codes": the Collector does not start'
        findings.warning(own.place("status_codes"), AT_START, message, f"one or more of {', '.join(_CODES)}")
    for node in known_texts(own, "status_codes"):
        if node.text not in _CODES:
            hint = did_you_mean(node.text, _CODES) or f"known: {', '.join(_CODES)}"
            message = f"there is no status code {quoted(node.text)}: the Collector does not start"
            findings.warning(node.origin, AT_START, message, hint)


def _check_composite(own: Settings, findings: Findings) -> None:
    """Names in the order and the allocation of rates are those of its policies (composite_helper.go)."""
    names = {one.text("name") for one in own.items("composite_sub_policy")}
    if None in names:
        return
    shares = 0.0
    places = [(node.text, node.origin) for node in known_texts(own, "policy_order") if is_known(node)]
    for one in own.items("rate_allocation"):
        name = one.text("policy")
        shares += one.number("percent") or 0
        if name is not None:
            places.append((name, one.place("policy")))
    for name, at in places:
        if name not in names:
            message = f"the composite policy has no sub-policy {quoted(name)}"
            hint = "" if findings.full else did_you_mean(name, sorted(one for one in names if one))
            findings.warning(at, NO_EFFECT, message, hint)
    if shares > 100:
        message = f"the shares of the rate are {shares:g} percent together"
        findings.warning(own.key_place("rate_allocation"), NO_EFFECT, message, "they should not exceed 100")


def check_probabilistic(settings: Settings, findings: Findings) -> None:
    """Ratio and precision (processor/probabilisticsamplerprocessor/config.go `Validate`)."""
    percentage = settings.number("sampling_percentage")
    if percentage is not None:
        at, ratio = settings.place("sampling_percentage"), _float32(percentage) / 100
        if not math.isfinite(ratio):
            findings.error(at, RANGE, '"sampling_percentage" must be a finite number')
        elif ratio < 0:
            findings.error(at, RANGE, '"sampling_percentage" must not be negative')
        elif 0 < ratio < _SMALLEST:
            findings.error(at, RANGE, '"sampling_percentage" is smaller than can be sampled', "0 samples nothing")
    precision = whole(settings, "sampling_precision")
    if precision == 0:
        code = RANGE if settings.has("sampling_precision") else MISSING
        findings.error(settings.place("sampling_precision"), code, '"sampling_precision" must not be 0')
    elif precision is not None and precision > _DIGITS:
        findings.error(settings.place("sampling_precision"), RANGE, f'"sampling_precision" must be at most {_DIGITS}')


def _float32(number: float) -> float:
    """The number as the setting holds it; infinite beyond its range."""
    try:
        return float(struct.unpack("f", struct.pack("f", number))[0])
    except OverflowError:
        return math.inf if number > 0 else -math.inf


VALIDATE: Rules = {
    "processor/tail_sampling": (check_tail_sampling, check_policy_keys),
    "processor/probabilistic_sampler": (check_probabilistic,),
}
CONSTRUCT: Rules = {"processor/tail_sampling": (check_policies,)}
