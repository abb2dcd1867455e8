"""The keys that route or isolate: written by the control plane only, never inherited."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from config_service.domain.documents import same
from config_service.domain.ids import MAX_CHANNELS, is_channel
from config_service.domain.merge import Config
from servicekit.problems import Invalid

#: Paths (of keys) that belong to the control plane; everything below them too.
PROTECTED_PATHS: Final = (("agent", "dedicated_service_url"), ("agent", "mode"), ("routing",))
MODES: Final = ("shared", "dedicated")
SHARED: Final = "shared"

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """What a team's own config says about where its requests go."""

    slack_channel_ids: tuple[str, ...] = ()
    #: `None`: not said, which means shared.
    mode: str | None = None
    dedicated_service_url: str | None = None
    #: Nobody is to be answered.
    suspended: bool = False


def without_protected(config: Config) -> Config:
    """`config` as its children inherit it."""
    kept = {key: value for key, value in config.items() if key != "routing"}
    agent = kept.get("agent")
    if isinstance(agent, dict) and ("mode" in agent or "dedicated_service_url" in agent):
        kept["agent"] = {key: agent[key] for key in agent if key not in {"mode", "dedicated_service_url"}}
        if not kept["agent"]:
            del kept["agent"]
    return kept


def mentioned(patch: Mapping[str, Any]) -> str | None:
    """The first protected path that a merge patch speaks of, dotted."""
    for path in PROTECTED_PATHS:
        if _at(patch, path) is not _ABSENT:
            return _dotted(path, _at(patch, path))
    return None


def changed(before: Config, after: Config) -> str | None:
    """The first protected path whose value is not the same in both configs, dotted."""
    for path in PROTECTED_PATHS:
        old, new = _at(before, path), _at(after, path)
        if old is new or (old is not _ABSENT and new is not _ABSENT and same(old, new)):
            continue
        return _dotted(path, old if new is _ABSENT else new)
    return None


def read_routing(config: Config, url_pattern: re.Pattern[str]) -> Routing:
    """What `config` says about routing, checked.

    Raises:
        Invalid: a protected key holds what it cannot.
    """
    agent, routing = config.get("agent"), config.get("routing")
    for field, value in (("agent", agent), ("routing", routing)):
        if value is not None and not isinstance(value, dict):
            raise Invalid.field(field, "must be an object")
    agent, routing = agent or {}, routing or {}
    mode, url = agent.get("mode"), agent.get("dedicated_service_url")
    if mode is not None and (not isinstance(mode, str) or mode not in MODES):
        raise Invalid.field("agent.mode", "must be 'shared' or 'dedicated'")
    if url is not None:
        check_dedicated_url(url, url_pattern, field="agent.dedicated_service_url")
    suspended = routing.get("suspended", False)
    if not isinstance(suspended, bool):
        raise Invalid.field("routing.suspended", "must be true or false")
    channels = routing.get("slack_channel_ids")
    return Routing(
        slack_channel_ids=() if channels is None else _channels(channels),
        mode=mode,
        dedicated_service_url=url,
        suspended=suspended,
    )


def check_dedicated_url(url: object, pattern: re.Pattern[str], *, field: str) -> None:
    """Refuse what is not the address of one of our own dedicated agents.

    Raises:
        Invalid: `url` does not match as a whole.
    """
    if not isinstance(url, str) or pattern.fullmatch(url) is None:
        raise Invalid.field(field, "is not the address of a dedicated agent of this installation")


def with_routing(config: Config, routing: Routing) -> Config:
    """`config` with exactly the keys of `routing` set or cleared; everything else is kept."""
    agent = dict(_object(config.get("agent")))
    agent["mode"] = routing.mode or SHARED
    if routing.dedicated_service_url is None:
        agent.pop("dedicated_service_url", None)
    else:
        agent["dedicated_service_url"] = routing.dedicated_service_url
    rest = dict(_object(config.get("routing")))
    if routing.slack_channel_ids:
        rest["slack_channel_ids"] = list(routing.slack_channel_ids)
    else:
        rest.pop("slack_channel_ids", None)
    if routing.suspended:
        rest["suspended"] = True
    else:
        rest.pop("suspended", None)
    updated = {**config, "agent": agent, "routing": rest}
    if not rest:
        del updated["routing"]
    return updated


def restore(old: Config, now: Config) -> Config:
    """`old` with the protected keys as they are now: where a team runs is not part of what is rolled back."""
    restored = without_protected(old)
    agent = _object(now.get("agent"))
    kept = {key: agent[key] for key in ("mode", "dedicated_service_url") if key in agent}
    if kept:
        restored["agent"] = {**_object(restored.get("agent")), **kept}
    if "routing" in now:
        restored["routing"] = now["routing"]
    return restored


def _channels(value: object) -> tuple[str, ...]:
    field = "routing.slack_channel_ids"
    if not isinstance(value, list) or not all(is_channel(item) for item in value):
        raise Invalid.field(field, "must be a list of Slack channel ids ([A-Z0-9], 2-32 characters)")
    if len(set(value)) != len(value):
        raise Invalid.field(field, "must not name a channel twice")
    if len(value) > MAX_CHANNELS:
        raise Invalid.field(field, f"must not name more than {MAX_CHANNELS} channels")
    return tuple(value)


def _at(config: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    value: Any = config
    for key in path:
        if not isinstance(value, Mapping) or key not in value:
            return _ABSENT
        value = value[key]
    return value


def _dotted(path: tuple[str, ...], value: object) -> str:
    """`routing.slack_channel_ids` rather than `routing` when it is one known key that is meant."""
    if isinstance(value, Mapping) and len(value) == 1:
        path = (*path, str(next(iter(value))))
    return ".".join(path)


def _object(value: object) -> Config:
    return value if isinstance(value, dict) else {}
