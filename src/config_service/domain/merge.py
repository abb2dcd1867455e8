"""Configs and how they lie over one another: objects merge, lists and scalars replace, null deletes."""

from collections.abc import Iterable, Sequence
from typing import Any

#: A config document: a JSON object.
Config = dict[str, Any]
#: For every leaf of an effective config, the id of the node that set it, in the shape of the config.
Origin = dict[str, Any]


def merge(below: Config, over: Config) -> Config:
    """Lay `over` upon `below` (RFC 7396): no null of `over` is in the result; neither is changed."""
    merged = dict(below)
    for key, value in over.items():
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            beneath = merged.get(key)
            merged[key] = merge(beneath if isinstance(beneath, dict) else {}, value)
        else:
            merged[key] = value
    return merged


def effective(layers: Iterable[Config]) -> Config:
    """What holds for the last of `layers`, given from the root down."""
    result: Config = {}
    for layer in layers:
        result = merge(result, layer)
    return result


def explain(layers: Sequence[tuple[str, Config]]) -> dict[str, str]:
    """Which node set each value of the effective config.

    Args:
        layers: node ids and their configs, from the root down.

    Returns:
        Dotted paths of the leaves (scalars, lists, empty objects) with the id of the node that set them.
    """
    values: Config = {}
    origins: Origin = {}
    for node_id, layer in layers:
        origins = _origins(origins, layer, node_id)
        values = merge(values, layer)
    explained: dict[str, str] = {}
    _flatten(values, origins, "", explained)
    return explained


def _origins(below: Origin, over: Config, node_id: str) -> Origin:
    """The origins after `node_id` laid `over` on top; an object remembers its own origin under the key ''."""
    merged = dict(below)
    for key, value in over.items():
        if value is None:
            merged.pop(f".{key}", None)
        elif isinstance(value, dict):
            beneath = merged.get(f".{key}")
            start = beneath if isinstance(beneath, dict) else {"": node_id}
            merged[f".{key}"] = _origins(start, value, node_id)
        else:
            merged[f".{key}"] = node_id
    return merged


def _flatten(values: Config, origins: Origin, prefix: str, into: dict[str, str]) -> None:
    for key, value in values.items():
        origin = origins[f".{key}"]
        if isinstance(value, dict) and value:
            _flatten(value, origin, f"{prefix}{key}.", into)
        else:
            into[f"{prefix}{key}"] = origin[""] if isinstance(origin, dict) else origin
