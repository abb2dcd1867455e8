"""Whatever fails wherever, the system ends in the state last asked for, with nothing orphaned and nothing twice.

The matrix is generated: a first, undisturbed run of each scenario says how it has to end; then every remote call and
every commit of it is met by every fault, one a cell.
"""

import asyncio
import base64
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

import httpx2
import pytest
import sqlalchemy as sa

from orchestrator.domain.objects import MANIFEST_HASH_ANNOTATION, TOKEN_ID_ANNOTATION
from orchestrator.domain.team import TeamKey
from orchestrator.store import claims, tables, teams
from orchestrator.store.teams import TokenState
from tests.integration.orchestrator.faults import (
    EachOnce,
    Fault,
    Installation,
    Moment,
    Nth,
    Once,
    Plan,
    asked,
)
from tests.integration.orchestrator.world import World

TEAM = TeamKey("extend", "platform-sre")
#: A cell that takes longer is stuck, in seconds.
PATIENCE_S = 20
#: How often a caller repeats a request that was not answered.
REPEATS = 40


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for the seed's team."""

    what: str
    fields: Mapping[str, Any] = field(default_factory=dict)

    async def __call__(self, world: World) -> httpx2.Response:
        key = f"{self.what}-{sorted(self.fields.items())}"[:128]
        if self.what in {"suspend", "resume"}:
            headers = {"Prefer": "wait=20", "Idempotency-Key": key}
            return await world.http.post(
                f"/api/v1/admin/teams/extend/platform-sre/{self.what}", headers=headers
            )
        call = world.provision if self.what == "provision" else world.deprovision
        return await call(idempotency_key=key, **self.fields)


def provision(**fields: Any) -> Ask:
    return Ask("provision", fields)


def deprovision(**fields: Any) -> Ask:
    return Ask("deprovision", fields)


SUSPEND, RESUME = Ask("suspend"), Ask("resume")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is asked, after what was asked before."""

    ask: Ask
    before: tuple[Ask, ...] = (provision(),)
    #: Whether somebody runs the team's pods.
    pods_run: bool = False


SCENARIOS = {
    "provision new dedicated": Scenario(provision(), before=()),
    "provision new shared": Scenario(provision(deployment_mode="shared"), before=()),
    "change replicas": Scenario(provision(dedicated={"replicas": 2})),
    "change schedule": Scenario(provision(pipeline_schedule="30 4 * * 1-5")),
    "change channels": Scenario(provision(slack_channel_ids=["C12345", "C777"])),
    "clear schedule": Scenario(provision(pipeline_schedule=None)),
    "shared to dedicated": Scenario(
        provision(), before=(provision(deployment_mode="shared"),), pods_run=True
    ),
    "dedicated to shared": Scenario(provision(deployment_mode="shared")),
    "suspend": Scenario(SUSPEND),
    "resume": Scenario(RESUME, before=(provision(), SUSPEND), pods_run=True),
    "deprovision": Scenario(deprovision()),
    "deprovision delete_config": Scenario(deprovision(delete_config=True)),
}
#: The other fields, each changed alone.
OTHER_FIELDS: dict[str, dict[str, Any]] = {
    "pipeline_time_zone": {"pipeline_time_zone": "Europe/Berlin"},
    "protected": {"protected": True},
    "restore_within": {"restore_within": "72h"},
    "resources": {"dedicated": {"resources": {"requests": {"cpu": "300m"}}}},
    "autoscaling": {"dedicated": {"autoscaling": {"min_replicas": 2, "max_replicas": 4}}},
    "node_selector": {"dedicated": {"node_selector": {"disk": "ssd"}}},
    "tolerations": {"dedicated": {"tolerations": [{"key": "gpu", "operator": "Exists"}]}},
    "isolation": {"dedicated": {"isolation": "namespace"}},
    "egress_cidrs": {"dedicated": {"egress_cidrs": ["10.0.0.0/8"]}},
    "sla": {"dedicated": {"sla": "guaranteed"}},
    "image": {"dedicated": {"image": "registry.test/agent:2"}},
}
EVERYTHING = SCENARIOS | {
    f"change {name}": Scenario(provision(**fields), pods_run=name == "isolation")
    for name, fields in OTHER_FIELDS.items()
}
MATRIX_FAULTS = (Fault.REFUSED, Fault.ANSWER_LOST, Fault.HANG, Fault.KILLED)


class Stage:
    """One scenario, played as often as one likes from the same beginning."""

    def __init__(self, installation: Installation, scenario: Scenario, beginning: Moment) -> None:
        self._installation = installation
        self._scenario = scenario
        self._beginning = beginning

    @classmethod
    @contextlib.asynccontextmanager
    async def set_up(
        cls, scenario: Scenario, folder: Path, database_url: str | None = None
    ) -> AsyncIterator[Self]:
        async with Installation.open(folder, database_url) as installation:
            for before in scenario.before:
                await live_through(installation, Plan(), before, pods_run=scenario.pods_run)
            async with installation.doors.database.unit_of_work() as connection:
                # Until it is asked for something, nobody looks at the team.
                await connection.execute(tables.teams.update().values(due_at=None))
            yield cls(installation, scenario, await installation.moment())

    async def play(self, plan: Plan) -> dict[str, Any]:
        """How it ends."""
        await self._installation.return_to(self._beginning)
        await live_through(self._installation, plan, self._scenario.ask, pods_run=self._scenario.pods_run)
        return await end_state(self._installation)


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty installation: a copy of its files is had sooner than a new one."""
    folder = tmp_path_factory.mktemp("installation")

    async def make() -> None:
        async with Installation.open(folder):
            pass

    asyncio.run(make())
    return folder


@pytest.fixture
def folder(migrated: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(migrated, tmp_path / "installation"))


async def live_through(
    installation: Installation, plan: Plan, ask: Ask, *, pods_run: bool = False
) -> httpx2.Response:
    """Ask until there is an answer, over the deaths of as many processes as it takes."""
    async with asyncio.timeout(PATIENCE_S), _pods(installation, run=pods_run):
        for _ in range(REPEATS):
            async with installation.process(plan) as world:
                answer = await _answer(installation, world, plan, ask)
                plan.story_ends()
            if answer is not None:
                return answer
            plan = Plan()
    message = "the caller was never answered"
    raise AssertionError(message)


async def _answer(installation: Installation, world: World, plan: Plan, ask: Ask) -> httpx2.Response | None:
    """The answer of one process; `None` when it died before that."""
    for _ in range(REPEATS):
        answer = await asked(world, plan, ask)
        if answer is None:
            return None
        if answer.status_code == 503:
            continue
        assert answer.status_code == 200, answer.text
        if ask.what == "provision" and await _token_is_owed(installation):
            # The run has ended well, but the token could not be made, or its delivery not noted: the next answer
            # brings one, in place of any other.
            continue
        return answer
    return None


async def _token_is_owed(installation: Installation) -> bool:
    async with installation.doors.database.reading() as connection:
        team = await teams.get(connection, TEAM)
    return team is not None and team.token_state is TokenState.PENDING


@contextlib.asynccontextmanager
async def _pods(installation: Installation, *, run: bool) -> AsyncIterator[None]:
    """Somebody who makes the team's Deployment available as soon as it stands."""

    task = asyncio.create_task(installation.run_pods()) if run else None
    try:
        yield
    finally:
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def end_state(installation: Installation) -> dict[str, Any]:
    """All that must be the same however it came about."""
    async with installation.process(Plan(), reconciles=False) as world:
        config = await world.config()
        channels = ("C12345", "C777")
        return {
            "objects": {
                f"{kind} {obj['metadata'].get('namespace')}/{obj['metadata']['name']}": await _lasting(
                    world, obj
                )
                for kind, obj in installation.registry.store.everything()
            },
            "config": config and {name: config[name] for name in ("config", "version")},
            "live tokens": config and sorted(str(token["purpose"]) for token in config["tokens"]),
            "routing": {channel: await world.lookup(channel) for channel in channels},
            **await _records(installation),
        }


async def _lasting(world: World, obj: Mapping[str, Any]) -> dict[str, Any]:
    """An object without what differs from one time to the next; of a Secret, whether its credential is good."""
    metadata = obj["metadata"]
    annotations = dict(metadata.get("annotations") or {})
    kept: dict[str, Any] = {name: obj[name] for name in obj if name not in {"metadata", "status", "data"}} | {
        "labels": metadata.get("labels"),
        "annotations": annotations,
        "is going": "deletionTimestamp" in metadata,
    }
    if obj["kind"] == "Service":
        # Given out by the cluster, also to a dry run.
        kept["spec"] = {name: kept["spec"][name] for name in kept["spec"] if not name.startswith("clusterIP")}
    if obj["kind"] == "Secret":
        annotations.pop(MANIFEST_HASH_ANNOTATION)
        me = (await world.who(base64.b64decode(obj["data"]["token"]).decode())).json()
        kept["credential"] = {name: me.get(name) for name in ("kind", "org_id", "team_node_id", "purpose")}
        kept["names its credential"] = annotations.pop(TOKEN_ID_ANNOTATION) == me.get("token_id")
    return kept


_RUNS = sa.select(
    tables.runs.c.kind, tables.runs.c.status, tables.runs.c.error, tables.runs.c.waiting_for
).order_by(tables.runs.c.id)


async def _records(installation: Installation) -> dict[str, Any]:
    async with installation.doors.database.reading() as connection:
        team = await teams.get(connection, TEAM)
        owners = await claims.channel_owners(connection, ["C12345", "C777"])
        rows = (await connection.execute(_RUNS)).all()
    assert team is not None
    return {
        "runs": [tuple(row) for row in rows],
        "channels": owners,
        "team": {
            "state": team.state,
            "spec": team.spec,
            "generation": team.generation,
            "observed generation": team.observed_generation,
            "good generation": team.good_generation,
            "inventory": team.inventory,
            "routed": team.routed,
            "ready": team.ready,
            "token": team.token_state,
            "failures": team.failures,
            "to be looked at again": team.due_at is not None,
            "conditions": [
                (item.type, item.status, item.reason, item.observed_generation) for item in team.conditions
            ],
        },
    }


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name in wanted.keys() | found.keys():
            yield from differences(wanted.get(name), found.get(name), f"{path}.{name}")
    elif wanted != found:
        yield f"{path}: {found!r} instead of {wanted!r}"


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("fault", MATRIX_FAULTS, ids=lambda fault: fault.value)
async def test_any_one_failure_leads_to_the_same_end(
    folder: Path, record_property: Callable[[str, object], None], name: str, fault: Fault
) -> None:
    async with Stage.set_up(SCENARIOS[name], folder) as stage:
        cells = await cells_of(stage, fault)

    record_property("cells", len(cells))
    assert len(cells) > 15
    assert report(cells) == ""


async def cells_of(stage: Stage, fault: Fault) -> dict[str, list[str]]:
    """How each cell ends differently; the fault wanders from the first operation of the story to the last."""
    wanted = await stage.play(Plan())
    cells: dict[str, list[str]] = {}
    while True:
        plan = Plan(Nth(len(cells) + 1, fault))
        try:
            unlike = list(differences(wanted, await stage.play(plan)))
        except (AssertionError, TimeoutError) as error:
            unlike = [f"{type(error).__name__}: {error}"]
        if not plan.failed:
            assert not unlike, unlike
            return cells
        cells[f"{fault.value} at {len(cells) + 1}: {plan.failed[0]}"] = unlike


def report(cells: Mapping[str, list[str]]) -> str:
    return "\n".join("\n    ".join([cell, *unlike]) for cell, unlike in cells.items() if unlike)


@pytest.mark.parametrize("name", EVERYTHING)
@pytest.mark.parametrize(
    "fault", [Fault.REFUSED, Fault.ANSWER_LOST, Fault.TWICE], ids=lambda fault: fault.value
)
async def test_every_step_fails_once_and_the_end_is_the_same(folder: Path, name: str, fault: Fault) -> None:
    async with Stage.set_up(EVERYTHING[name], folder) as stage:
        wanted = await stage.play(Plan())
        plan = Plan(EachOnce(fault))
        found = await stage.play(plan)

    assert len(plan.failed) > 10
    assert list(differences(wanted, found)) == []


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("provision new dedicated", Fault.KILLED),
        ("change channels", Fault.ANSWER_LOST),
        ("deprovision delete_config", Fault.KILLED),
    ],
    ids=lambda value: value.value if isinstance(value, Fault) else value,
)
async def test_it_is_so_on_postgresql_too(
    folder: Path, postgresql_url: str, record_property: Callable[[str, object], None], name: str, fault: Fault
) -> None:
    async with Stage.set_up(SCENARIOS[name], folder, postgresql_url) as stage:
        cells = await cells_of(stage, fault)

    record_property("cells", len(cells))
    assert len(cells) > 15
    assert report(cells) == ""


async def test_a_report_that_the_database_did_not_take_is_made_again_before_the_claim_runs_out(
    folder: Path,
) -> None:
    plan = Plan(Once("commit TeamReconciler._write", Fault.REFUSED))
    async with (
        Installation.open(folder) as installation,
        installation.process(plan, time_flies=False) as world,
        asyncio.timeout(PATIENCE_S),
    ):
        answer = await provision()(world)

    assert answer.status_code == 200, answer.text
    assert plan.failed == ["commit TeamReconciler._write"]


async def test_a_token_delivered_in_the_middle_of_a_pass_stays_delivered(folder: Path) -> None:
    async with Installation.open(folder) as installation:
        await live_through(installation, Plan(), provision())
        async with installation.doors.database.unit_of_work() as connection:
            now = installation.clock()
            team = await teams.lease(connection, TEAM, holder="a pass", now=now, until=now + 60)
            assert team is not None
        pending = replace(
            team, token_state=TokenState.PENDING
        )  # as a pass sees it that began a moment earlier

        async with installation.doors.database.unit_of_work() as connection:
            await teams.report(connection, pending, seen_generation=team.generation, now=now)

        assert not await _token_is_owed(installation)
