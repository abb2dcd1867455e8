"""What we may not do in the cluster is said in the cluster's words, never as an internal error."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.cluster.errors import Refused
from orchestrator.runtime import Doors
from orchestrator.settings import Settings
from tests.integration.orchestrator.world import World


class _MayNot:
    """A cluster that refuses some verbs for want of rights."""

    def __init__(self, cluster: Any, *verbs: str) -> None:
        self._cluster = cluster
        for verb in verbs:
            setattr(self, verb, self._refuse)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)

    async def _refuse(self, *_: object, **__: object) -> None:
        raise Refused(403, "Forbidden", 'secrets is forbidden: User "o" cannot list resource "secrets"')


@pytest.mark.parametrize("path", ["deployment", "pipeline"])
async def test_reading_without_the_right_is_403(settings: Settings, path: str) -> None:
    def doors_of(doors: Doors) -> Doors:
        return replace(doors, cluster=_MayNot(doors.cluster, "get"))

    async with World.start(settings, doors_of=doors_of) as world:
        await world.provision(prefer="wait=20")

        response = await world.http.get(f"/api/v1/admin/teams/extend/platform-sre/{path}")

    assert response.status_code == 403
    assert "cannot list resource" in response.json()["detail"]


async def test_deprovisioning_an_unknown_team_without_the_right_to_list_is_403(settings: Settings) -> None:
    def doors_of(doors: Doors) -> Doors:
        return replace(doors, cluster=_MayNot(doors.cluster, "list"))

    async with World.start(settings, doors_of=doors_of) as world:
        response = await world.deprovision(team_node_id="nobody")

    assert response.status_code == 403
    assert "cannot list resource" in response.json()["detail"]
