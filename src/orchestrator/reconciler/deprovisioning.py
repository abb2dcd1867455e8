"""Take a leaving team away: first routing, then tokens, then workloads, then config."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from orchestrator.clients.config_service import ConfigService
from orchestrator.cluster.client import Cluster
from orchestrator.domain.manifests import Platform
from orchestrator.domain.objects import Manifest, Ref, belongs_to, is_going
from orchestrator.domain.plan import Action, PlannedObject
from orchestrator.domain.wanted import possible_refs
from orchestrator.reconciler.journal import Journal
from orchestrator.reconciler.outcome import NotYet, Outcome
from orchestrator.reconciler.provisioning import LOOK_AGAIN_S
from orchestrator.reconciler.removal import Removal, holds
from orchestrator.store.teams import Leaving, TeamRecord, TeamState


class Deprovisioner:
    """Removes what a team had; every step may be repeated, and what is not there is no error."""

    def __init__(self, cluster: Cluster, config: ConfigService, platform: Platform) -> None:
        self._cluster = cluster
        self._config = config
        self._platform = platform
        self._removal = Removal(cluster)

    async def run(self, team: TeamRecord, journal: Journal) -> Outcome:
        """One pass.

        Raises:
            DependencyAway: to be tried again.
            NotYet: an object is still being deleted.
        """
        leaving = team.leaving or Leaving()
        async with journal.step("routing"):
            await self._config.unroute(team.key)
        async with journal.step("tokens"):
            await self._config.revoke_tokens(team.key)
        async with journal.step("observe"):
            candidates = team.inventory | possible_refs(team.key, team.spec, team.names, self._platform)
            live = await self._cluster.get_many(candidates)
        ours = {ref: obj for ref, obj in live.items() if obj is not None and belongs_to(obj, team.key)}
        journal.result |= _result(candidates, ours, leaving, journal.result)
        held: list[Manifest] = []
        if leaving.delete_k8s_resources:
            held = await self._remove(ours, journal)
        if held and leaving.released is None:
            raise NotYet(holds(held), look_again_s=LOOK_AGAIN_S)
        if held:
            journal.result |= _released(held, leaving.released, journal.result)
        if leaving.delete_config and team.restore_until is None:
            async with journal.step("config"):
                await self._config.delete_team(team.key)
        inventory = frozenset(map(Ref.of, held)) if leaving.delete_k8s_resources else frozenset(ours)
        gone = replace(
            team,
            state=TeamState.GONE,
            inventory=inventory,
            routed=None,
            good_spec=None,
        )
        return Outcome(team=gone, ready=False, ready_message="the team is deprovisioned")

    async def _remove(self, ours: Mapping[Ref, Manifest], journal: Journal) -> list[Manifest]:
        """Those that are still there."""
        going = [obj for obj in ours.values() if is_going(obj)]
        deletes = [
            PlannedObject(ref=ref, action=Action.DELETE, uid=obj["metadata"]["uid"])
            for ref, obj in sorted(ours.items())
            if not is_going(obj)
        ]
        left = await self._removal.remove(deletes, journal)
        return [*going, *left]


def _released(held: list[Manifest], reason: str | None, result: Mapping[str, Any]) -> dict[str, Any]:
    """What is not waited for any more; it goes when whoever holds it lets go."""
    refs = [Ref.of(obj).as_dict() for obj in held]
    return {
        "deleted": [item for item in result["deleted"] if item not in refs],
        "released": [{**Ref.of(obj).as_dict(), "held_by": holds([obj]), "reason": reason} for obj in held],
    }


def _result(
    candidates: frozenset[Ref], ours: Mapping[Ref, Manifest], leaving: Leaving, earlier: Mapping[str, Any]
) -> dict[str, Any]:
    """What was deleted, kept or not there; what an earlier pass of this run deleted stays deleted."""
    deleted = {Ref(**item) for item in earlier.get("deleted", ())}
    if leaving.delete_k8s_resources:
        deleted |= set(ours)
    kept = set(ours) - deleted
    return {
        "deleted": [ref.as_dict() for ref in sorted(deleted)],
        "not_found": [ref.as_dict() for ref in sorted(candidates - deleted - kept)],
        "kept": [ref.as_dict() for ref in sorted(kept)],
    }
