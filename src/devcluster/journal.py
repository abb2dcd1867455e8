"""The state of the cluster in a file: one line for each write, rewritten when it has grown enough."""

import os
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from devcluster.objects import Object
from devcluster.store import Store

#: Growth after which the file is rewritten to hold each object once.
_REWRITE_AFTER_BYTES = 64 * 1024 * 1024
_PUT, _GONE = "put", "gone"


class FileJournal:
    """Appends every write to a file; survives the end of the process at any moment, not a power failure."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._store: Store | None = None
        self._written = 0

    def load(self, store: Store) -> None:
        """Bring back what an earlier process stored, and follow `store` from here on."""
        self._store = store
        self._path.parent.mkdir(parents=True, exist_ok=True)
        revision = _replay(self._path, store) if self._path.exists() else 0
        store.forget_history_before(revision)
        self._rewrite(store)

    def wrote(self, kind: str, obj: Object) -> None:
        """An object was created or changed."""
        self._append({"op": _PUT, "kind": kind, "object": obj})

    def removed(self, kind: str, obj: Object) -> None:
        """An object is gone."""
        metadata = obj["metadata"]
        key = {"namespace": metadata.get("namespace"), "name": metadata["name"]}
        self._append({"op": _GONE, "kind": kind, "revision": metadata["resourceVersion"], **key})

    def close(self) -> None:
        """Let go of the file."""
        if self._file:
            self._file.close()
            self._file = None

    def _append(self, entry: dict[str, Any]) -> None:
        if self._file is None:
            return
        line = msgspec.json.encode(entry) + b"\n"
        self._file.write(line)
        self._written += len(line)
        if self._written > _REWRITE_AFTER_BYTES and self._store:
            self._rewrite(self._store)

    def _rewrite(self, store: Store) -> None:
        self.close()
        fresh = self._path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(msgspec.json.encode({"op": "revision", "revision": str(store.revision)}) + b"\n")
            for kind, obj in store.everything():
                file.write(msgspec.json.encode({"op": _PUT, "kind": kind, "object": obj}) + b"\n")
        os.replace(fresh, self._path)  # noqa: PTH105 - the atomic one, named as such
        # Unbuffered: what was answered to a client is with the operating system.
        self._file = self._path.open("ab", buffering=0)
        self._written = 0


def _replay(path: Path, store: Store) -> int:
    """Read the file into the store; the highest revision it speaks of.

    A torn last line is a write that never was.
    """
    latest: dict[tuple[str, str | None, str], Object] = {}
    revision = 0
    for line in path.read_bytes().split(b"\n"):
        try:
            entry = msgspec.json.decode(line)
        except msgspec.DecodeError:
            break
        if entry["op"] == _PUT:
            metadata = entry["object"]["metadata"]
            latest[entry["kind"], metadata.get("namespace"), metadata["name"]] = entry["object"]
            revision = max(revision, int(metadata["resourceVersion"]))
        else:
            revision = max(revision, int(entry["revision"]))
            if entry["op"] == _GONE:
                latest.pop((entry["kind"], entry["namespace"], entry["name"]), None)
    for (kind, namespace, name), obj in latest.items():
        store.restore(kind, (namespace, name), obj)
    return revision
