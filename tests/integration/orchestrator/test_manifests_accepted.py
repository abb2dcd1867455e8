"""Whatever is valid here, the cluster takes; and what was applied needs nothing more."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings

from orchestrator.cluster.client import Cluster
from orchestrator.concurrency import together
from orchestrator.domain.manifests import Platform, object_namespace, render_secret
from orchestrator.domain.naming import claim
from orchestrator.domain.objects import Manifest, Ref, with_hash
from orchestrator.domain.plan import Action, Plan, plan
from orchestrator.domain.team import TeamKey, TeamNames, TeamSpec
from orchestrator.domain.wanted import wanted_objects
from tests.strategies import specs, team_keys

pytestmark = pytest.mark.asyncio(loop_scope="module")

PLATFORM = Platform(
    agent_image="agent:1", pipeline_image="pipeline:1", config_service_url="http://config:8081"
)
LIVE_TOKENS = frozenset({"the-token"})

many = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
some = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(kubeconfig: Path) -> AsyncIterator[Cluster]:
    cluster = Cluster.connect(str(kubeconfig), timeout=timedelta(seconds=20))
    await cluster.ensure_namespace(PLATFORM.namespace)
    yield cluster
    await cluster.close()


@many
@given(key=team_keys(), spec=specs())
async def test_a_manifest_is_accepted_for_every_valid_spec(
    cluster: Cluster, key: TeamKey, spec: TeamSpec
) -> None:
    wanted = wanted_objects(key, spec, claim(key, lambda _: False), PLATFORM)

    # Nothing is kept, so the team's own namespace does not come to be: what goes into it is tried beside it.
    tried = [with_hash(_beside(manifest)) for manifest in wanted]
    await together(cluster.apply(manifest, force=True, dry_run=True) for manifest in tried)


def _beside(manifest: Manifest) -> Manifest:
    if manifest["kind"] == "Namespace":
        return manifest
    return manifest | {"metadata": manifest["metadata"] | {"namespace": PLATFORM.namespace}}


class Tenant:
    """A team with names and namespaces that no other example has."""

    def __init__(self, cluster: Cluster, key: TeamKey) -> None:
        own = uuid4().hex[:12]
        self.cluster = cluster
        self.key = key
        self.platform = replace(PLATFORM, namespace=f"p-{own}")
        self.names: TeamNames = replace(claim(key, lambda _: False), namespace=f"ns-{own}")
        self.recorded: set[Ref] = set()

    async def planned(self, spec: TeamSpec) -> Plan:
        wanted = wanted_objects(self.key, spec, self.names, self.platform)
        self.recorded |= {Ref.of(manifest) for manifest in wanted}
        live = await self.cluster.get_many(self.recorded)
        return plan(self.key, wanted=wanted, live=live, live_tokens=LIVE_TOKENS)

    async def bring_to(self, spec: TeamSpec) -> Plan:
        """Carry a plan out, as a pass does; the plan that is then left."""
        await self.cluster.ensure_namespace(self.platform.namespace)
        planned = await self.planned(spec)
        for wave in planned.waves():
            await self._apply((item.manifest or {} for item in wave), spec)
        for item in planned.deletes:
            await self.cluster.delete(item.ref, uid=item.uid or "")
        return await self.planned(spec)

    async def _apply(self, manifests: Iterable[Manifest], spec: TeamSpec) -> None:
        namespace = object_namespace(spec, self.names, self.platform)
        secret = render_secret(self.key, self.names, namespace, token="t", token_id="the-token")
        await together(
            self.cluster.apply(with_hash(secret) if manifest["kind"] == "Secret" else manifest, force=True)
            for manifest in manifests
        )


@some
@given(key=team_keys(), spec=specs())
async def test_a_plan_applied_to_its_own_outcome_is_empty(
    cluster: Cluster, key: TeamKey, spec: TeamSpec
) -> None:
    left = await Tenant(cluster, key).bring_to(spec)

    assert [(item.ref, item.changes) for item in left.objects if item.action is not Action.UNCHANGED] == []
    assert left.going == ()


@some
@given(key=team_keys(), before=specs(), after=specs())
async def test_a_change_carried_out_leaves_nothing_to_do(
    cluster: Cluster, key: TeamKey, before: TeamSpec, after: TeamSpec
) -> None:
    tenant = Tenant(cluster, key)
    await tenant.bring_to(before)

    left = await tenant.bring_to(after)

    assert [(item.ref, item.changes) for item in left.objects if item.action is not Action.UNCHANGED] == []
    # This API server runs no controllers: a namespace, and what is in it, stays on its way out.
    assert {obj["metadata"].get("namespace", tenant.names.namespace) for obj in left.going} <= {
        tenant.names.namespace
    }
    present = {Ref.of(item.manifest) for item in left.objects if item.manifest is not None}
    wanted = wanted_objects(key, after, tenant.names, tenant.platform)
    assert present == {Ref.of(manifest) for manifest in wanted}
