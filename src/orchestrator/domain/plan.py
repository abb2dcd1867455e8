"""What has to be done to bring a team's objects from observed to wanted: the only place that decides, and its order."""

import enum
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.domain.managed_fields import other_owners
from orchestrator.domain.objects import (
    MANIFEST_HASH_ANNOTATION,
    TOKEN_ID_ANNOTATION,
    Manifest,
    Ref,
    belongs_to,
    is_going,
    with_hash,
)
from orchestrator.domain.team import TeamKey


class Action(enum.StrEnum):
    """What happens to one object."""

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Change:
    """One field that differs; `None` stands for a field that is not there."""

    path: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedObject:
    """One object and what happens to it."""

    ref: Ref
    action: Action
    #: What to apply; `None` for a deletion.
    manifest: Manifest | None = None
    #: The object that was looked at; `None` for one that does not exist.
    uid: str | None = None
    changes: tuple[Change, ...] = ()

    @property
    def needs_token(self) -> bool:
        """Whether it is a Secret whose credential has to be made."""
        changed = any(change.path == TOKEN_PATH for change in self.changes)
        return self.ref.kind == "Secret" and (self.action is Action.CREATE or changed)


@dataclass(frozen=True, slots=True)
class Plan:
    """Objects in the order in which they are applied, then those to delete in the order in which they go."""

    objects: tuple[PlannedObject, ...]
    #: Objects that must be gone before anything can take their name again.
    going: tuple[Manifest, ...] = ()

    @property
    def applies(self) -> tuple[PlannedObject, ...]:
        """What is to be created or updated."""
        return tuple(item for item in self.objects if item.action in {Action.CREATE, Action.UPDATE})

    @property
    def deletes(self) -> tuple[PlannedObject, ...]:
        """What is to be deleted."""
        return tuple(item for item in self.objects if item.action is Action.DELETE)

    def step_name(self, item: PlannedObject) -> str:
        """What the step that applies an object is called: its kind, and its name too where that alone is not clear."""
        kind = "".join(
            f"_{letter.lower()}" if letter.isupper() else letter for letter in item.ref.kind
        ).lstrip("_")
        alone = sum(other.ref.kind == item.ref.kind for other in self.objects) == 1
        return kind if alone else f"{kind}:{item.ref.name}"

    def waves(self) -> Iterator[list[PlannedObject]]:
        """The applies in groups whose members do not need one another."""
        for kinds in WAVES:
            if wave := [item for item in self.applies if item.ref.kind in kinds]:
                yield wave


#: What an object needs stands in an earlier wave: nothing runs before its limits, its policy and its credential do.
WAVES: tuple[frozenset[str], ...] = (
    frozenset({"Namespace"}),
    frozenset({"ResourceQuota", "LimitRange", "NetworkPolicy", "ServiceAccount", "Secret"}),
    frozenset({"Service", "Deployment", "PodDisruptionBudget", "HorizontalPodAutoscaler", "CronJob"}),
)


class NotOurs(Exception):
    """An object of a name that we need exists and is not this team's."""

    def __init__(self, ref: Ref) -> None:
        super().__init__(f"{ref.kind} {ref.namespace}/{ref.name} is not this team's")
        self.ref = ref


def plan(
    key: TeamKey,
    *,
    wanted: Sequence[Manifest],
    live: Mapping[Ref, Manifest | None],
    live_tokens: frozenset[str] | None = None,
) -> Plan:
    """Decide.

    Args:
        key: whose objects these are.
        wanted: manifests, in the order in which they are to be applied.
        live: what the cluster answered for every object that is wanted or may be left over.
        live_tokens: ids of the credentials that are valid now; `None` when nobody could say.

    Raises:
        NotOurs: a wanted name is taken by an object that is not this team's.
    """
    objects = []
    going = []
    for manifest in map(with_hash, wanted):
        ref = Ref.of(manifest)
        existing = live.get(ref)
        if existing is not None and not belongs_to(existing, key):
            raise NotOurs(ref)
        if existing is not None and is_going(existing):
            going.append(existing)
        else:
            objects.append(_planned(ref, manifest, existing, live_tokens))
    wanted_refs = {Ref.of(manifest) for manifest in wanted}
    left = [obj for ref, obj in live.items() if obj is not None and ref not in wanted_refs]
    ours = [obj for obj in left if belongs_to(obj, key)]
    going += [obj for obj in ours if is_going(obj)]
    deletes = [
        PlannedObject(ref=Ref.of(obj), action=Action.DELETE, uid=obj["metadata"]["uid"])
        for obj in ours
        if not is_going(obj)
    ]
    deletes.sort(key=lambda item: _wave_of(item.ref.kind), reverse=True)
    return Plan(tuple(objects + deletes), tuple(going))


def _wave_of(kind: str) -> int:
    return next((index for index, kinds in enumerate(WAVES) if kind in kinds), len(WAVES))


def _planned(
    ref: Ref, manifest: Manifest, existing: Manifest | None, live_tokens: frozenset[str] | None
) -> PlannedObject:
    if existing is None:
        return PlannedObject(ref=ref, action=Action.CREATE, manifest=manifest)
    if ref.kind == "Secret":
        changes = _secret_changes(manifest, existing, live_tokens)
    else:
        changes = tuple(differences(manifest, existing))
    action = Action.UPDATE if changes else Action.UNCHANGED
    return PlannedObject(
        ref=ref, action=action, manifest=manifest, uid=existing["metadata"].get("uid"), changes=changes
    )


#: The one value of a team's Secret.
TOKEN_PATH = "data.token"  # noqa: S105 - where a token is


def _secret_changes(
    wanted: Manifest, existing: Manifest, live_tokens: frozenset[str] | None
) -> tuple[Change, ...]:
    """The credential is as wanted while it is valid and nobody else has written it; its value is never compared."""
    labels = {"metadata": {"labels": wanted["metadata"]["labels"]}}
    changes = tuple(differences(labels, existing))
    token_id = (existing["metadata"].get("annotations") or {}).get(TOKEN_ID_ANNOTATION)
    has_data = bool((existing.get("data") or {}).get("token"))
    is_valid = live_tokens is None or token_id in live_tokens
    if has_data and is_valid and not other_owners(existing, TOKEN_PATH):
        return changes
    return (*changes, Change(TOKEN_PATH, "(hidden)", "(hidden)"))


#: How Kubernetes tells the items of a list of objects apart, most telling first.
_MERGE_KEYS = ("name", "containerPort", "mountPath", "topologyKey", "port", "type")


def differences(wanted: Any, live: Any, path: str = "") -> Iterator[Change]:
    """Where `live` is not as `wanted` says; what only `live` has (defaults, other managers' fields) is no difference.

    An object whose manifest hash differs was applied from another manifest: fields that were dropped since show as
    the changed hash, the only change that is then certain.
    """
    if isinstance(wanted, dict) and isinstance(live, dict):
        for name, value in wanted.items():
            where = f"{path}.{name}" if path else name
            if name not in live:
                yield Change(where, None, value)
            else:
                yield from differences(value, live[name], where)
    elif isinstance(wanted, list) and isinstance(live, list):
        yield from _list_differences(wanted, live, path)
    elif wanted != live:
        yield Change(path, live, wanted)


def _list_differences(wanted: list[Any], live: list[Any], path: str) -> Iterator[Change]:
    merge_key = next(
        (
            key
            for key in _MERGE_KEYS
            if wanted and all(isinstance(item, dict) and key in item for item in wanted)
        ),
        None,
    )
    if merge_key is None or len({item[merge_key] for item in wanted}) != len(wanted):
        if len(wanted) != len(live):
            yield Change(path, live, wanted)
            return
        for index, (item, other) in enumerate(zip(wanted, live, strict=True)):
            yield from differences(item, other, f"{path}[{index}]")
        return
    by_key = {item.get(merge_key): item for item in live if isinstance(item, dict)}
    for item in wanted:
        where = f"{path}[{merge_key}={item[merge_key]}]"
        if item[merge_key] not in by_key:
            yield Change(where, None, item)
        else:
            yield from differences(item, by_key[item[merge_key]], where)


def shown_changes(item: PlannedObject, previous: Manifest | None) -> Iterator[Change]:
    """The changes of an object as people want to read them: the hash is left out, dropped fields are named.

    Args:
        item: the planned object.
        previous: what was applied before, when that is known.
    """
    for change in item.changes:
        if not change.path.endswith(MANIFEST_HASH_ANNOTATION):
            yield change
    if previous is not None and item.manifest is not None and item.action is Action.UPDATE:
        for change in differences(previous, item.manifest):
            if change.before is None and not change.path.endswith(MANIFEST_HASH_ANNOTATION):
                yield Change(change.path, change.after, None)


def refs(manifests: Iterable[Manifest]) -> set[Ref]:
    """The references of manifests."""
    return {Ref.of(manifest) for manifest in manifests}
