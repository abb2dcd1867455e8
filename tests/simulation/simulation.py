"""Several replicas, random requests, random faults; what must hold is looked at after every step.

`python -m tests.simulation --seed N --steps M` replays one run exactly (with the hash seed that it prints).
"""

import asyncio
import base64
import contextlib
import hashlib
import logging
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx2
import sqlalchemy as sa
import structlog

from config_service.store.tables import tokens as config_tokens
from devcluster.controllers.namespaces import Namespaces
from devcluster.controllers.runner import Runner
from devcluster.controllers.world import World as ClusterWorld
from devcluster.objects import utc_now
from orchestrator.clients.config_service import ConfigService
from orchestrator.cluster.client import Cluster
from orchestrator.cluster.index import team_of
from orchestrator.domain.objects import Manifest, Ref
from orchestrator.domain.plan import Action, plan
from orchestrator.domain.team import TeamKey
from orchestrator.domain.wanted import wanted_objects
from orchestrator.lease import must_be_held
from orchestrator.runtime import control_plane, platform_of
from orchestrator.store import tables
from orchestrator.store import teams as team_rows
from orchestrator.store.teams import TeamState
from tests.integration.orchestrator.faults import (
    Fault,
    FaultyDatabase,
    FaultyHttp,
    Installation,
    Plan,
    _end,
)
from tests.integration.orchestrator.world import ADMIN_TOKEN, World

REPLICAS = 2
#: `a-b`+`c` and `a`+`b-c` read the same.
TEAMS = (
    TeamKey("a-b", "c"),
    TeamKey("a", "b-c"),
    TeamKey("acme", "sre"),
    TeamKey("acme", "web"),
    TeamKey("Acme", "web"),
)
CHANNELS = ("C1", "C2", "C3", "C4")
SHARED = "http://shared-agent.test:8000"
EPOCH = 1_790_000_000.0
#: How often an operation of a replica fails, while faults are on.
FAULT_RATE = 0.02
FAULTS = (Fault.REFUSED, Fault.ANSWER_LOST, Fault.HANG)
#: After the last fault everything has to come right within this time, in seconds of virtual time.
TO_CONVERGE_S = 3600.0


class Violated(AssertionError):
    """What must always hold does not."""


class Unsteady(Plan):
    """One replica's luck: an operation fails now and then; while it is stopped, none gets any further."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__(self._luck)
        self._chance = chance
        self.steady = False
        self.running = asyncio.Event()
        self.running.set()

    def _luck(self, _name: str) -> Fault | None:
        if self.steady or self._chance.random() >= FAULT_RATE:
            return None
        return self._chance.choice(FAULTS)

    async def begin(self, name: str) -> Fault | None:
        if not self.running.is_set():
            await self.running.wait()
            if name.startswith(("cluster ", "config ")) and " GET " not in name:
                # It stood still before it sent this, as a process does that gets no time.
                must_be_held()
        return await super().begin(name)


@dataclass
class Replica:
    """One process."""

    world: World
    luck: Unsteady
    tasks: list[asyncio.Task[Any]]

    async def kill(self) -> None:
        """Nothing of it runs any more, wherever it was."""
        self.luck.killed.set()
        self.luck.running.set()
        await _end(*self.tasks)
        await self.world.http.aclose()


@dataclass
class Simulation:
    """One run."""

    installation: Installation
    seed: int
    chance: random.Random
    replicas: list[Replica] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    asking: set[asyncio.Task[None]] = field(default_factory=set)
    #: Runs whose call was answered; none of them may ever be lost.
    accepted: set[str] = field(default_factory=set)
    #: Teams whose objects somebody changed by hand, and that have not been put right since.
    touched: set[TeamKey] = field(default_factory=set)
    number: int = 0

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, folder: Path, seed: int) -> AsyncIterator["Simulation"]:
        """A fresh installation with its replicas."""
        async with Installation.open(folder) as installation:
            simulation = cls(installation, seed, random.Random(seed))
            random.seed(seed)
            for _ in range(REPLICAS):
                simulation.start_replica()
            cluster = ClusterWorld(installation.registry, utc_now)
            namespaces = Runner(installation.registry, cluster, [Namespaces(cluster)])
            pods = asyncio.create_task(installation.run_pods())
            emptying = asyncio.create_task(namespaces.run())
            try:
                yield simulation
            finally:
                await _end(pods, emptying, *simulation.asking)
                for replica in simulation.replicas:
                    await replica.kill()

    def now(self) -> float:
        return EPOCH + asyncio.get_running_loop().time()

    def start_replica(self) -> None:
        luck = Unsteady(self.chance)
        calm = self.installation.doors
        doors = replace(
            calm,
            database=FaultyDatabase(calm.database, luck),
            cluster=Cluster(FaultyHttp(calm.cluster._http, "cluster", luck)),
            config=ConfigService(FaultyHttp(calm.config._http, "config", luck)),
        )
        loop = asyncio.get_running_loop()
        plane = control_plane(
            self.installation.settings, doors, admin_token=ADMIN_TOKEN, clock=self.now, monotonic=loop.time
        )
        for door in (doors.cluster, doors.config):
            door.circuit._monotonic = loop.time
        tasks: list[asyncio.Task[Any]] = [
            asyncio.create_task(plane.reconciler.run()),
            asyncio.create_task(doors.cluster.circuit.watch_over(doors.cluster.is_back)),
            asyncio.create_task(doors.config.circuit.watch_over(doors.config.is_back)),
        ]
        doors.cluster.circuit.on_closed(plane.reconciler.wake_waiting)
        doors.config.circuit.on_closed(plane.reconciler.wake_waiting)
        self.replicas.append(Replica(World(self.installation.settings, calm, plane), luck, tasks))

    async def step(self) -> None:
        """One thing happens; then what must hold is looked at."""
        self.number += 1
        happening = self.chance.choices(
            (self._request, self._time_passes, self._by_hand, self._kill, self._stand_still),
            weights=(50, 35, 8, 4, 3),
        )[0]
        await happening()
        for _ in range(self.chance.randrange(40)):
            await asyncio.sleep(0)
        await self.check()

    async def calm_down(self) -> None:
        """No more faults; everything has to come right."""
        self._say("calm")
        for replica in self.replicas:
            replica.luck.steady = True
            replica.luck.running.set()
        deadline = self.now() + TO_CONVERGE_S
        wrong: list[str] = ["nothing was looked at"]
        while wrong:
            if self.now() > deadline:
                raise Violated(f"not right after an hour without faults: {wrong}")
            await asyncio.sleep(30)
            for key in TEAMS:
                # What somebody changed by hand, a watch or the next look finds; here it is asked for.
                for replica in self.replicas[:1]:
                    await replica.world.http.post(
                        f"/api/v1/admin/teams/{key.org_id}/{key.team_node_id}/reconcile"
                    )
            await asyncio.sleep(30)
            wrong = await self._not_right()
        await self.check()

    async def _request(self) -> None:
        key = self.chance.choice(TEAMS)
        replica = self.chance.choice(self.replicas)
        what = self.chance.choices(("provision", "deprovision", "suspend", "resume"), weights=(60, 25, 8, 7))[
            0
        ]
        ids = {"org_id": key.org_id, "team_node_id": key.team_node_id}
        headers = {"Prefer": "respond-async"}
        if self.chance.random() < 0.3:
            headers["Idempotency-Key"] = f"key-{self.chance.randrange(50)}"
        if what == "provision":
            path, body = "/api/v1/admin/provision/team", ids | self._fields()
        elif what == "deprovision":
            path, body = "/api/v1/admin/deprovision/team", ids | {"delete_config": self.chance.random() < 0.3}
        else:
            path, body = f"/api/v1/admin/teams/{key.org_id}/{key.team_node_id}/{what}", {}
        self._say(f"{what} {key} {sorted(body.items())} by {self.replicas.index(replica)}")

        async def ask() -> None:
            with contextlib.suppress(httpx2.TransportError):
                response = await replica.world.http.post(path, json=body, headers=headers)
                if response.status_code >= 500 and response.status_code != 503:
                    raise Violated(f"{path} answered {response.status_code}: {response.text}")
                if response.is_success:
                    self.accepted.add(response.json()["provisioning_run_id"])

        task = asyncio.create_task(ask())
        self.asking.add(task)
        task.add_done_callback(self._asked)

    def _asked(self, task: asyncio.Task[None]) -> None:
        self.asking.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._say(f"error {error!r}")
            raise error

    def _fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        if self.chance.random() < 0.7:
            fields["slack_channel_ids"] = self.chance.sample(CHANNELS, self.chance.randrange(3))
        if self.chance.random() < 0.6:
            fields["pipeline_schedule"] = self.chance.choice(("0 2 * * *", "H 3 * * *", None))
        if self.chance.random() < 0.7:
            fields["deployment_mode"] = self.chance.choice(("shared", "dedicated"))
        if fields.get("deployment_mode") == "dedicated" and self.chance.random() < 0.5:
            dedicated = (
                {"replicas": self.chance.randrange(1, 4)},
                {"autoscaling": {"min_replicas": 1, "max_replicas": 3}},
                {"isolation": self.chance.choice(("namespace", "workload"))},
                {"sla": "guaranteed"},
            )
            fields["dedicated"] = self.chance.choice(dedicated)
        return fields

    async def _time_passes(self) -> None:
        seconds = self.chance.choice((0.01, 0.1, 1.0, 10.0, 90.0))
        self._say(f"{seconds} s pass")
        await asyncio.sleep(seconds)

    async def _by_hand(self) -> None:
        """Somebody deletes an object, as `kubectl delete` does."""
        objects = sorted(
            (
                (kind, obj)
                for kind, obj in self.installation.registry.store.everything()
                if team_of(obj) is not None
                and kind in {"CronJob", "ServiceAccount", "NetworkPolicy", "Secret"}
            ),
            key=lambda item: (item[0], item[1]["metadata"]["namespace"], item[1]["metadata"]["name"]),
        )
        if not objects:
            return
        _kind, obj = self.chance.choice(objects)
        key = team_of(obj)
        assert key is not None
        self._say(f"{Ref.of(obj)} deleted by hand")
        self.touched.add(key)
        with contextlib.suppress(Exception):
            await self.installation.doors.cluster.delete(Ref.of(obj), uid=obj["metadata"]["uid"])

    async def _kill(self) -> None:
        replica = self.replicas.pop(self.chance.randrange(len(self.replicas)))
        self._say("a replica is killed, another one started")
        await replica.kill()
        self.start_replica()

    async def _stand_still(self) -> None:
        """A replica gets no time for longer than its leases last, while the others go on."""
        replica = self.chance.choice(self.replicas)
        self._say(f"{self.replicas.index(replica)} stands still")
        replica.luck.running.clear()
        await asyncio.sleep(self.installation.settings.lease.total_seconds() * 1.5)
        replica.luck.running.set()

    async def check(self) -> None:
        """What must hold at every moment.

        Raises:
            Violated: it does not.
        """
        objects = [
            obj for _, obj in self.installation.registry.store.everything() if team_of(obj) is not None
        ]
        await self._check_names(objects)
        await self._check_routing()
        await self._check_tokens(objects)
        await self._check_runs()

    async def _check_names(self, objects: list[Manifest]) -> None:
        async with self.installation.doors.database.reading() as connection:
            rows = (await connection.execute(sa.select(tables.names))).all()
        claimed = {row.name: TeamKey(row.org_id, row.team_node_id) for row in rows}
        for obj in objects:
            key, name = team_of(obj), obj["metadata"]["name"]
            # Companions carry their part's name, or one that begins with it.
            owners = {
                owner for known, owner in claimed.items() if name == known or name.startswith(f"{known}-")
            }
            if owners and key not in owners:
                raise Violated(f"{Ref.of(obj)} carries the labels of {key}, its name is that of {owners}")
            selector = (obj.get("spec") or {}).get("selector") or {}
            labels = selector.get("matchLabels", selector)
            wanted = (
                {"incidentfox.io/org-id": key.org_id, "incidentfox.io/team-node-id": key.team_node_id}
                if key
                else {}
            )
            if labels and any(labels.get(label) != value for label, value in wanted.items()):
                raise Violated(f"{Ref.of(obj)} of {key} selects {labels}")

    async def _check_routing(self) -> None:
        for channel in CHANNELS:
            before = self._services()
            found = await self._lookup(channel)
            if not found["found"] or found["deployment_mode"] == "shared" or found["suspended"]:
                continue
            key, url = TeamKey(found["org_id"], found["team_node_id"]), found["agent_url"]
            # Things go on while the question is answered: it has to have been there before, or to be there after.
            owners = {before.get(url), self._services().get(url)}
            if url != SHARED and key not in owners:
                raise Violated(f"{channel} of {key} is routed to {url}, which is {owners}")

    def _services(self) -> dict[str, TeamKey | None]:
        """Whose agent answers at an address."""
        return {
            f"http://{obj['metadata']['name']}.{obj['metadata']['namespace']}.svc.cluster.local:8000": team_of(
                obj
            )
            for obj in self.installation.registry.list("Service")
        }

    async def _lookup(self, channel: str) -> dict[str, Any]:
        response = await self.installation.doors.config._http.post(
            "/api/v1/internal/routing/lookup", json={"slack_channel_id": channel}
        )
        found: dict[str, Any] = response.json()
        return found

    async def _check_tokens(self, objects: list[Manifest]) -> None:
        live = await self._live_tokens()
        for key, purposes in live.items():
            if len(set(purposes)) < len(purposes):
                raise Violated(f"{key} has more than one live token a purpose: {purposes}")
        for obj in objects:
            if obj["kind"] != "Secret":
                continue
            text = base64.b64decode(obj["data"]["token"]).decode()
            me = await self.installation.doors.config.who_am_i(text)
            key = team_of(obj)
            if (
                me is not None
                and key is not None
                and (me.org_id, me.team_node_id) != (key.org_id, key.team_node_id)
            ):
                raise Violated(f"the Secret of {key} holds a credential of {me.org_id}/{me.team_node_id}")

    async def _live_tokens(self) -> dict[TeamKey, list[str]]:
        database = self.installation._databases[config_tokens.metadata]
        where = sa.and_(config_tokens.c.revoked_at.is_(None), config_tokens.c.purpose.is_not(None))
        async with database.reading() as connection:
            rows = (await connection.execute(sa.select(config_tokens).where(where))).all()
        live: dict[TeamKey, list[str]] = {}
        for row in rows:
            live.setdefault(TeamKey(row.org_id, row.node_id), []).append(row.purpose)
        return live

    async def _check_runs(self) -> None:
        async with self.installation.doors.database.reading() as connection:
            known = set((await connection.execute(sa.select(tables.runs.c.id))).scalars())
        if lost := self.accepted - known:
            raise Violated(f"runs that were answered and are not there: {lost}")

    async def _not_right(self) -> list[str]:
        """What is not as it was last asked for."""
        wrong = []
        platform = platform_of(self.installation.settings)
        everything = {
            Ref.of(obj): obj for _, obj in self.installation.registry.store.everything() if team_of(obj)
        }
        async with self.installation.doors.database.reading() as connection:
            running = sa.select(tables.runs.c.id).where(tables.runs.c.status == "running")
            wrong += [f"run {run} is running" for run in (await connection.execute(running)).scalars()]
            teams = {key: await team_rows.get(connection, key) for key in TEAMS}
        live = await self._live_tokens()
        for key, team in teams.items():
            mine = {ref: obj for ref, obj in everything.items() if team_of(obj) == key}
            wanted: list[Manifest] = []
            if team is not None and team.state is TeamState.ACTIVE:
                wanted = wanted_objects(key, team.spec, team.names, platform)
                if team.observed_generation != team.generation:
                    wrong.append(f"{key} is at {team.observed_generation} instead of {team.generation}")
            planned = plan(
                key, wanted=wanted, live={Ref.of(obj): mine.get(Ref.of(obj)) for obj in wanted} | mine
            )
            wrong += [
                f"{item.ref} of {key}: {item.action}"
                for item in planned.objects
                if item.action is not Action.UNCHANGED
            ]
            if team is None or team.state is not TeamState.ACTIVE:
                wrong += [f"{key} is gone and has a token for {purpose}" for purpose in live.get(key, ())]
        for channel in CHANNELS:
            found = await self._lookup(channel)
            owner = next(
                (
                    key
                    for key, team in teams.items()
                    if team is not None
                    and team.state is TeamState.ACTIVE
                    and channel in team.spec.slack_channel_ids
                ),
                None,
            )
            routed = TeamKey(found["org_id"], found["team_node_id"]) if found["found"] else None
            if routed != owner:
                wrong.append(f"{channel} is routed to {routed} instead of {owner}")
        return wrong

    def _say(self, what: str) -> None:
        self.trace.append(f"{self.number} {what}")

    def digest(self) -> str:
        """The same for the same history."""
        told = "\n".join([*self.trace, f"{self.now():.6f}"])
        return hashlib.sha256(told.encode()).hexdigest()[:16]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without the replicas' logs: writing them takes longer than what they tell of."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        yield
    finally:
        structlog.reset_defaults()


async def simulate(folder: Path, seed: int, steps: int) -> str:
    """One run; its digest.

    Raises:
        AssertionError: something did not hold; the message says how to see it again.
    """
    async with Simulation.open(folder, seed) as simulation:
        try:
            for _ in range(steps):
                await simulation.step()
            await simulation.calm_down()
        except AssertionError as error:
            last = "\n  ".join(simulation.trace[-15:])
            again = f"python -m tests.simulation --seed {seed} --steps {steps}"
            message = f"{error}\n{again}\nthe last steps:\n  {last}"
            raise AssertionError(message) from error
        return simulation.digest()
