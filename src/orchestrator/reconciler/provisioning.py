"""Bring an active team's objects, credentials and routing to what is wanted."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

from orchestrator.clients.config_service import ConfigService, MintedToken, TeamConfig
from orchestrator.cluster.client import Cluster
from orchestrator.cluster.errors import ClusterError, Conflicted, Missing, owned_by_another, refusal
from orchestrator.cluster.informers import Informers
from orchestrator.concurrency import together
from orchestrator.domain.manifests import (
    Platform,
    needs_secret,
    object_namespace,
    render_secret,
    service_url,
    with_credential_of,
)
from orchestrator.domain.objects import (
    Manifest,
    Ref,
    belongs_to,
    is_going,
    with_hash,
)
from orchestrator.domain.plan import Action, NotOurs, Plan, PlannedObject, plan
from orchestrator.domain.rollout import is_available, replicas_to_hand_over
from orchestrator.domain.team import Mode, TeamKey
from orchestrator.domain.wanted import wanted_objects
from orchestrator.reconciler.fights import Fights
from orchestrator.reconciler.journal import Journal
from orchestrator.reconciler.outcome import NotYet, Outcome, agent_outcome
from orchestrator.reconciler.removal import Removal, holds
from orchestrator.reconciler.steady import Steady
from orchestrator.store.teams import Routed, TeamRecord

#: The credential that the team's own pods carry.
RUNTIME_PURPOSE = "runtime"
#: Who owns a Deployment's replicas from when they are no longer ours until the autoscaler first changes them.
REPLICAS_MANAGER = "orchestrator-replicas"
#: How soon to look again at what the cluster is still busy with, in seconds.
LOOK_AGAIN_S = 0.5

_DONE = {Action.CREATE: "created", Action.UPDATE: "updated", Action.UNCHANGED: "unchanged"}


class Provisioner:
    """Makes what is wanted of an active team so; every step may be repeated."""

    def __init__(
        self,
        cluster: Cluster,
        config: ConfigService,
        platform: Platform,
        informers: Informers,
        steady: Steady,
        fights: Fights,
        may_go_on: Callable[[TeamKey], Awaitable[None]],
    ) -> None:
        self._cluster = cluster
        self._config = config
        self._platform = platform
        self._informers = informers
        self._steady = steady
        self._fights = fights
        self._may_go_on = may_go_on
        self._removal = Removal(cluster)

    async def run(self, team: TeamRecord, journal: Journal, *, asked_for: bool) -> Outcome:
        """One pass.

        Args:
            team: the row, leased.
            asked_for: somebody waits for this; otherwise the brake has a say.
            journal: where the steps and what the run answers are written down.

        Raises:
            Problem: refused for good.
            DependencyAway: to be tried again.
            NotYet: the cluster is busy with what was asked.
            BrakedError: too many teams were to be put right at once.
        """
        target = self._target(team)
        async with journal.step("team_config"):
            if not _untouched(team) and team.routed != target and await self._is_routed(team.key, target):
                # A pass that told so ended before it could write it down: what is reached is not given up again.
                team = replace(team, routed=target)
            meanwhile = _meanwhile(team, target)
            # A Secret that cannot be there yet needs a credential for certain: one call brings both.
            mint = RUNTIME_PURPOSE if _untouched(team) and needs_secret(team.spec) else None
            config = await self._route(team, meanwhile, mint=mint)
        async with journal.step("observe"):
            planned, live = await self._plan(team, config)
        journal.result["resources"] = _resources(planned, journal.result)
        if planned.going:
            raise NotYet(holds(planned.going), look_again_s=LOOK_AGAIN_S)
        if not asked_for and _is_drastic(planned, team.inventory):
            await self._may_go_on(team.key)
        if not asked_for:
            for item in planned.applies:
                self._fights.note(team.key, item, live.get(item.ref))
        objects = live | await self._apply(team, planned, live, config.minted, journal)
        agent = Ref("Deployment", object_namespace(team.spec, team.names, self._platform), team.names.agent)
        deployment = objects.get(agent) if target.mode == Mode.DEDICATED else None
        available = (
            team.spec.suspended
            or deployment is None
            or is_available(deployment)
            or self._became_available(deployment)
        )
        if team.routed is not None and meanwhile != target and not available:
            # Whoever answers the team today goes on until its new agent can.
            raise NotYet(f"Deployment {team.names.agent} to become available", look_again_s=LOOK_AGAIN_S)
        async with journal.step("routing"):
            if meanwhile != target:
                await self._route(team, target)
        left = await self._removal.remove(planned.deletes, journal)
        wanted_refs = {item.ref for item in planned.objects if item.action is not Action.DELETE}
        done = replace(
            team,
            routed=target,
            inventory=frozenset(wanted_refs),
            good_spec=team.spec,
            good_generation=team.generation,
        )
        if left:
            raise NotYet(holds(left), look_again_s=LOOK_AGAIN_S)
        self._steady.reached(done, {ref: obj for ref, obj in objects.items() if obj is not None})
        return agent_outcome(done, available=available)

    def _became_available(self, deployment: Manifest) -> bool:
        """Whether a watch has told so since the Deployment was applied."""
        entry = self._informers.find(Ref.of(deployment))
        return entry is not None and entry.uid == deployment["metadata"]["uid"] and entry.available

    def _target(self, team: TeamRecord) -> Routed:
        mode = team.spec.deployment_mode
        url = service_url(team.spec, team.names, self._platform) if mode is Mode.DEDICATED else None
        return Routed(mode=mode.value, url=url, suspended=team.spec.suspended)

    async def _is_routed(self, key: TeamKey, target: Routed) -> bool:
        found = await self._config.get_team(key)
        config = found.config if found is not None else {}
        agent, routing = config.get("agent") or {}, config.get("routing") or {}
        return target == Routed(
            mode=agent.get("mode", ""),
            url=agent.get("dedicated_service_url"),
            suspended=routing.get("suspended", False),
        )

    async def _route(self, team: TeamRecord, routed: Routed, *, mint: str | None = None) -> TeamConfig:
        return await self._config.put_team(
            team.key,
            channels=team.spec.slack_channel_ids,
            mode=routed.mode,
            dedicated_service_url=routed.url,
            suspended=routed.suspended,
            mint=mint,
        )

    async def _plan(self, team: TeamRecord, config: TeamConfig) -> tuple[Plan, dict[Ref, Manifest | None]]:
        wanted = wanted_objects(team.key, team.spec, team.names, self._platform)
        # Nothing of a team that no pass has touched is ours, and the names were looked up before they were kept;
        # should somebody have been faster, the apply without force says so.
        wanted_refs = {Ref.of(manifest) for manifest in wanted}
        live = {} if _untouched(team) else await self._cluster.get_many(wanted_refs | team.inventory)
        try:
            return plan(team.key, wanted=wanted, live=live, live_tokens=config.live_tokens), live
        except NotOurs as error:
            raise owned_by_another(error.ref) from error

    async def _apply(
        self,
        team: TeamRecord,
        planned: Plan,
        live: Mapping[Ref, Manifest | None],
        minted: MintedToken | None,
        journal: Journal,
    ) -> dict[Ref, Manifest | None]:
        """The objects that were applied, as the cluster now has them."""
        applied: dict[Ref, Manifest | None] = {}
        for wave in planned.waves():
            for item in wave:
                await self._hand_over_replicas(item, live.get(item.ref))
            objects = await together(
                self._apply_one(team, item, planned.step_name(item), live.get(item.ref), minted, journal)
                for item in wave
            )
            applied |= {item.ref: obj for item, obj in zip(wave, objects, strict=True)}
        return applied

    async def _hand_over_replicas(self, item: PlannedObject, live: Manifest | None) -> None:
        """Leave a Deployment's replicas to its autoscaler without going through one replica."""
        if item.manifest is None or live is None:
            return
        part = replicas_to_hand_over(item.manifest, live)
        if part is None:
            return
        try:
            await self._cluster.apply(part, force=False, manager=REPLICAS_MANAGER)
        except Conflicted:
            # Somebody else owns them meanwhile: just what is wanted.
            return

    async def _apply_one(
        self,
        team: TeamRecord,
        item: PlannedObject,
        step: str,
        live: Manifest | None,
        minted: MintedToken | None,
        journal: Journal,
    ) -> Manifest:
        async with journal.step(step):
            manifest = item.manifest or {}
            if item.ref.kind == "Secret" and not item.needs_token and live is not None:
                manifest = with_hash(with_credential_of(manifest, live))
            elif item.ref.kind == "Secret":
                minted = minted or await self._config.mint_token(team.key, purpose=RUNTIME_PURPOSE)
                manifest = with_hash(
                    render_secret(
                        team.key,
                        team.names,
                        object_namespace(team.spec, team.names, self._platform),
                        token=minted.token,
                        token_id=minted.id,
                    )
                )
            try:
                obj = await self._applied(team, item, manifest)
            except ClusterError as error:
                raise refusal(item.ref, error) from error
            if is_going(obj):
                raise NotYet(holds([obj]), look_again_s=LOOK_AGAIN_S)
            return obj

    async def _applied(self, team: TeamRecord, item: PlannedObject, manifest: Manifest) -> Manifest:
        """Apply: with force what is known to be ours, without it what should not exist yet."""
        if item.action is Action.UPDATE:
            return (await self._cluster.apply(manifest, force=True)).object
        try:
            return (await self._cluster.apply(manifest, force=False)).object
        except Missing:
            if item.ref.namespace != self._platform.namespace:
                raise
            await self._cluster.ensure_namespace(self._platform.namespace)
            return (await self._cluster.apply(manifest, force=False)).object
        except Conflicted:
            existing = await self._cluster.get(item.ref)
            if existing is not None and not belongs_to(existing, team.key):
                raise owned_by_another(item.ref) from None
            return (await self._cluster.apply(manifest, force=True)).object


def _is_drastic(planned: Plan, inventory: frozenset[Ref]) -> bool:
    """Whether an object that a team had is to be made anew, or one to be deleted."""
    anew = any(item.action is Action.CREATE and item.ref in inventory for item in planned.applies)
    return anew or bool(planned.deletes)


def _untouched(team: TeamRecord) -> bool:
    """Whether this is the first pass that ever began: what came of one that was cut off is written nowhere."""
    return team.fence == 1


def _meanwhile(team: TeamRecord, target: Routed) -> Routed:
    """Routing as it may be before the objects stand.

    On the way to the shared agent or into suspension, routing goes first. On the way to a dedicated one it stays where
    it is; a new team has no URL yet, so nobody is sent to what is not there.
    """
    if target.mode == Mode.SHARED or target.suspended:
        return target
    return team.routed or Routed(mode=target.mode, url=None)


def _resources(planned: Plan, earlier: Mapping[str, Any]) -> list[dict[str, str]]:
    """What became of each object in this run; an earlier pass of it may have made what this one found unchanged."""
    before = {
        Ref(item["kind"], item["namespace"], item["name"]): item["action"]
        for item in earlier.get("resources", ())
    }
    resources = []
    for item in planned.objects:
        action = "deleted" if item.action is Action.DELETE else _DONE[item.action]
        if action == "unchanged":
            action = before.get(item.ref, action)
        resources.append({**item.ref.as_dict(), "action": action})
    mentioned = {item.ref for item in planned.objects}
    gone = [
        {**ref.as_dict(), "action": action}
        for ref, action in before.items()
        if action == "deleted" and ref not in mentioned
    ]
    return resources + gone
