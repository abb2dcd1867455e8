"""Materialises a pod's volumes below its directory, and keeps them current."""

import base64
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from devcluster.objects import Object
from devcluster.pods.environment import ConfigError, Lookup, field_value, resource_value

#: Mode of a file of a volume that names none.
_DEFAULT_MODE = 0o644

#: Content and mode by path below the volume.
Files = dict[str, tuple[bytes, int]]


def mounts_of(container: Object, volumes: Path) -> dict[str, str]:
    """Local directory (or file) by mount path of a container, for volumes that lie below `volumes`."""
    return {
        mount["mountPath"]: str(volumes / mount["name"] / mount["subPath"])
        if mount.get("subPath")
        else str(volumes / mount["name"])
        for mount in container.get("volumeMounts") or []
    }


def materialise(pod: Object, volumes: Path, lookup: Lookup) -> None:
    """Make every volume of the pod, or bring it up to date; done again it changes nothing.

    Raises:
        ConfigError: A Secret or ConfigMap is missing, or the dev cluster has no such kind of volume.
    """
    for volume in pod["spec"].get("volumes") or []:
        directory = volumes / volume["name"]
        directory.mkdir(parents=True, exist_ok=True)
        if "emptyDir" not in volume:
            _bring_up_to_date(directory, dict(_files_of(volume, pod, lookup)))


def remove(directory: Path) -> None:
    """Remove a pod's directory; one that is gone already is fine."""
    shutil.rmtree(directory, ignore_errors=True)


def _bring_up_to_date(directory: Path, files: Files) -> None:
    for present in directory.rglob("*"):
        if present.is_file() and present.relative_to(directory).as_posix() not in files:
            present.unlink()
    for path, (content, mode) in files.items():
        target = directory / path
        if target.is_file() and target.read_bytes() == content:
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        # Readers see the old file or the new one, never half of one.
        fresh = target.with_name(f".{target.name}.new")
        fresh.touch(mode=0o600)
        fresh.write_bytes(content)
        fresh.chmod(mode)
        fresh.replace(target)


def _files_of(volume: Object, pod: Object, lookup: Lookup) -> Iterator[tuple[str, tuple[bytes, int]]]:
    if "secret" in volume:
        secret = volume["secret"]
        yield from _keyed(
            "Secret", {**secret, "name": secret["secretName"]}, secret.get("defaultMode"), lookup
        )
    elif "configMap" in volume:
        yield from _keyed("ConfigMap", volume["configMap"], volume["configMap"].get("defaultMode"), lookup)
    elif "downwardAPI" in volume:
        yield from _downward(volume["downwardAPI"], volume["downwardAPI"].get("defaultMode"), pod)
    elif "projected" in volume:
        mode = volume["projected"].get("defaultMode")
        for source in volume["projected"].get("sources") or []:
            yield from _projected(source, mode, pod, lookup)
    else:
        kinds = ", ".join(sorted(set(volume) - {"name"}))
        raise ConfigError(f'volume "{volume["name"]}": the dev cluster has no volumes of kind {kinds}')


def _projected(
    source: Object, mode: int | None, pod: Object, lookup: Lookup
) -> Iterator[tuple[str, tuple[bytes, int]]]:
    if "secret" in source:
        yield from _keyed("Secret", source["secret"], mode, lookup)
    elif "configMap" in source:
        yield from _keyed("ConfigMap", source["configMap"], mode, lookup)
    elif "downwardAPI" in source:
        yield from _downward(source["downwardAPI"], mode, pod)
    else:
        kinds = ", ".join(sorted(source))
        raise ConfigError(f"the dev cluster projects no sources of kind {kinds}")


def _keyed(
    kind: str, reference: Mapping[str, object] | Object, default_mode: int | None, lookup: Lookup
) -> Iterator[tuple[str, tuple[bytes, int]]]:
    name = str(reference["name"])
    source = lookup(kind, name)
    if source is None:
        if reference.get("optional"):
            return
        raise ConfigError(f'{kind.lower()} "{name}" not found')
    data: dict[str, str] = source.get("data") or {}
    mode = _DEFAULT_MODE if default_mode is None else default_mode
    items = reference.get("items") or [{"key": key, "path": key} for key in data]
    assert isinstance(items, list)
    for item in items:
        if item["key"] not in data:
            if reference.get("optional"):
                continue
            raise ConfigError(f"references non-existent {kind.lower()} key: {item['key']}")
        yield item["path"], (_bytes_of(source, item["key"]), item.get("mode", mode))
    if kind == "ConfigMap" and not reference.get("items"):
        for key, value in (source.get("binaryData") or {}).items():
            yield key, (base64.b64decode(value), mode)


def _bytes_of(source: Object, key: str) -> bytes:
    value: str = source["data"][key]
    return base64.b64decode(value) if source["kind"] == "Secret" else value.encode()


def _downward(
    source: Object, default_mode: int | None, pod: Object
) -> Iterator[tuple[str, tuple[bytes, int]]]:
    mode = _DEFAULT_MODE if default_mode is None else default_mode
    for item in source.get("items") or []:
        if "fieldRef" in item:
            text = field_value(pod, item["fieldRef"]["fieldPath"])
        else:
            text = resource_value(item["resourceFieldRef"], pod, None)
        yield item["path"], (text.encode(), item.get("mode", mode))
