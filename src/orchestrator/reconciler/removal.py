"""Delete exactly what was looked at, and see it gone."""

from collections.abc import Iterable, Sequence

from orchestrator.cluster.client import Cluster
from orchestrator.cluster.errors import ClusterError, Conflicted, Missing, refusal
from orchestrator.concurrency import together
from orchestrator.domain.objects import Manifest, Ref
from orchestrator.domain.plan import WAVES, PlannedObject
from orchestrator.reconciler.journal import Journal


class Removal:
    """Deletes objects in the reverse of the order in which they were made."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def remove(self, objects: Sequence[PlannedObject], journal: Journal) -> list[Manifest]:
        """Delete the objects and look whether they are gone.

        Returns:
            Those that are still there, being held by a finalizer or by what they own.
        """
        left: list[Manifest] = []
        for kinds in reversed(WAVES):
            wave = [item for item in objects if item.ref.kind in kinds]
            if not wave:
                continue
            async with journal.step("remove_" + ("namespace" if "Namespace" in kinds else _wave_name(wave))):
                await together(self._delete(item) for item in wave)
                seen = await together(self._what_is_left(item.ref) for item in wave)
            left += [
                obj
                for item, obj in zip(wave, seen, strict=True)
                if obj is not None and obj["metadata"].get("uid") == item.uid
            ]
        return left

    async def _what_is_left(self, ref: Ref) -> Manifest | None:
        # Of a Secret nobody needs the value here; of a namespace the spec and the status say what holds it.
        return await self._cluster.get(ref, metadata_only=ref.kind != "Namespace")

    async def _delete(self, item: PlannedObject) -> None:
        try:
            await self._cluster.delete(item.ref, uid=item.uid or "")
        except (Missing, Conflicted):
            # Gone already, or another object has its name now: either way the one we looked at is no more.
            return
        except ClusterError as error:
            raise refusal(item.ref, error) from error


def _wave_name(wave: Sequence[PlannedObject]) -> str:
    return "workloads" if any(item.ref.kind in WAVES[-1] for item in wave) else "companions"


def holds(objects: Iterable[Manifest]) -> str:
    """What holds objects that are being deleted, in words for people."""
    return "; ".join(_held(obj) for obj in objects)


def _held(obj: Manifest) -> str:
    metadata = obj["metadata"]
    finalizers = ", ".join(metadata.get("finalizers") or (obj.get("spec") or {}).get("finalizers") or ())
    since = metadata.get("deletionTimestamp", "now")
    by = f", held by {finalizers}" if finalizers else ""
    conditions = " ".join(
        str(item.get("message", ""))
        for item in (obj.get("status") or {}).get("conditions") or ()
        if item.get("status") == "True"
    )
    words = f"{obj['kind']} {metadata['name']} to be gone (deleted at {since}{by})"
    return f"{words}: {conditions}" if conditions else words
