"""The demo step by step, told as it goes."""

import asyncio
import contextlib
import fcntl
import json
import shutil
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any

import httpx2
from rich.padding import Padding
from rich.text import Text

from orchestrator.cli.children import Child, Children, until
from orchestrator.cli.client import Api, team_path
from orchestrator.cli.demo_parts import NAMESPACE, Layout, Parts
from orchestrator.cli.failure import DONE, Failure
from orchestrator.cli.kubectl import Cluster
from orchestrator.cli.output import answers, duration
from orchestrator.cli.progress import submit
from orchestrator.cli.views import error_text

#: The request of the product's own description, to the letter.
TEAM = {
    "org_id": "extend",
    "team_node_id": "platform-sre",
    "slack_channel_ids": ["C12345"],
    "pipeline_schedule": "0 2 * * *",
    "deployment_mode": "dedicated",
}
ORG_ID, TEAM_NODE_ID = "extend", "platform-sre"
CRONJOB = f"ai-pipeline-{ORG_ID}-{TEAM_NODE_ID}"
AGENT = f"agent-dedicated-{ORG_ID}-{TEAM_NODE_ID}"
QUESTION = "payments-api is slow, p99 latency is above 4 s. What was the cause last time, and what helped?"
#: A step that takes longer has failed, in seconds.
PATIENCE_S = 60.0


class Stage:
    """Tells the steps of the demo with their durations."""

    def __init__(self) -> None:
        self.console = answers()
        self.began = time.monotonic()

    @contextmanager
    def step(self, title: str) -> Iterator[None]:
        """A step: shown as going on, then as done with the time it took."""
        began = time.monotonic()
        with self.console.status(Text(title)):
            yield
        took = duration((time.monotonic() - began) * 1000)
        self.console.print(
            Text.assemble(("✓ ", "green"), (title, "bold"), (f"  {took}", "dim")), soft_wrap=True
        )

    def say(self, text: str) -> None:
        """A line that belongs to the step before."""
        self.console.print(Text(f"    {text}"), soft_wrap=True)

    def show(self, command: str, output: str) -> None:
        """A command as a person types it, and what it writes."""
        self.console.print(Text(f"    $ {command}", style="cyan"), soft_wrap=True)
        for line in output.splitlines():
            self.say(line)

    def quote(self, text: str) -> None:
        """A longer text, folded to the width of the terminal."""
        self.console.print(Padding(Text(text), (0, 0, 0, 4), expand=False))


async def run_demo(*, once: bool, port: int | None, data_dir: Path | None) -> int:
    """Tell the whole story; Ctrl-C at any moment stops every process.

    Returns:
        The exit status.

    Raises:
        Failure: a step failed; the end of the log of the program to blame comes with it.
    """
    stage = Stage()
    async with _folder(once=once, data_dir=data_dir) as folder:
        layout = Layout.prepare(folder, port)
        async with Children(layout.logs) as children:
            told = asyncio.Event()
            story = _story(stage, layout, children, told if not once else None)
            return await _until_signal(children.while_alive(story), told)


@asynccontextmanager
async def _folder(*, once: bool, data_dir: Path | None) -> AsyncIterator[Path]:
    """The folder for a demo's data, held so that two demos never share one; a new one goes again."""
    with contextlib.ExitStack() as stack:
        if data_dir is None and once:
            new = tempfile.TemporaryDirectory(prefix="orchestrator-demo-", ignore_cleanup_errors=True)
            folder = Path(stack.enter_context(new))
        else:
            folder = data_dir or Path(".orchestrator/demo")
            folder.mkdir(parents=True, exist_ok=True)
        _hold(stack.enter_context((folder / "lock").open("w")), folder)
        yield folder


def _hold(lock: IO[str], folder: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise Failure(
            f"A demo is running in {folder} already.", hints=("Name another --data-dir.",)
        ) from error


async def _until_signal(work: Coroutine[Any, Any, int], told: asyncio.Event) -> int:
    """The work's status.

    A signal (Ctrl-C for one) is the ordinary end once everything was told; before, the status is 128 and the signal's
    number.
    """
    task = asyncio.ensure_future(work)
    received: list[signal.Signals] = []

    def stop(number: signal.Signals) -> None:
        received.append(number)
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        return await task
    except asyncio.CancelledError:
        if not received:
            raise
        return DONE if told.is_set() else 128 + received[0]


async def _story(stage: Stage, layout: Layout, children: Children, told: asyncio.Event | None) -> int:
    """The whole story; with `told` given, everything goes on running once it is."""
    cluster, orchestrator = await _start(stage, layout, Parts(layout, children))
    try:
        async with httpx2.AsyncClient(
            base_url=layout.url, headers={"Authorization": f"Bearer {layout.admin_token}"}, trust_env=False
        ) as http:
            tour = Tour(stage, Api(http), cluster)
            try:
                await tour.use_a_team()
                if told is None:
                    await tour.let_it_go()
            except Failure as failure:
                raise orchestrator.failure(" ".join((failure.message, *failure.hints))) from failure
    finally:
        await cluster.close()
    total = duration((time.monotonic() - stage.began) * 1000)
    stage.console.print(Text(f"\nEverything worked, in {total}.", style="bold green"))
    if told is not None:
        _invite(stage, layout)
        told.set()
        await asyncio.Event().wait()
    return DONE


async def _start(stage: Stage, layout: Layout, parts: Parts) -> tuple[Cluster, Child]:
    with stage.step("Start the dev cluster, a stand-in for Kubernetes on this machine"):
        child = await parts.dev_cluster()
        await _ready(child, _exists(layout.kubeconfig))
        cluster = Cluster(layout.kubeconfig, NAMESPACE, kubectl=shutil.which("kubectl"))
        await _ready(child, cluster.is_ready)
        await cluster.ensure_namespace()
    async with httpx2.AsyncClient(trust_env=False) as http:
        with stage.step("Start the orchestrator, with the Config Service inside, and the shared agent"):
            orchestrator = await parts.orchestrator()
            agent = await parts.shared_agent()
            await _ready(orchestrator, _answers(http, f"{layout.url}/readyz"))
            await _ready(agent, _answers(http, f"{layout.agent_url}/health"))
        stage.say(f"The orchestrator answers at {layout.url}, the shared agent at {layout.agent_url}")
    return cluster, orchestrator


async def _ready(child: Child, check: Callable[[], Coroutine[Any, Any, bool]]) -> None:
    if not await until(check, within_s=PATIENCE_S):
        raise child.failure(f"{child.name} was not ready within {PATIENCE_S:.0f} s.")


def _exists(file: Path) -> Callable[[], Coroutine[Any, Any, bool]]:
    async def check() -> bool:
        return file.exists() and file.stat().st_size > 0  # noqa: ASYNC240 - a look at a local file

    return check


def _answers(http: httpx2.AsyncClient, url: str) -> Callable[[], Coroutine[Any, Any, bool]]:
    async def check() -> bool:
        try:
            return (await http.get(url)).is_success
        except httpx2.TransportError:
            return False

    return check


class Tour:
    """What a customer would do, by HTTP and kubectl alone."""

    def __init__(self, stage: Stage, api: Api, cluster: Cluster) -> None:
        self._stage = stage
        self._api = api
        self._cluster = cluster

    async def use_a_team(self) -> None:
        """Provision the team, look at what stands, run its pipeline, ask its agent."""
        await self._provision()
        await self._look()
        await self._learn()
        await self._ask()

    async def _provision(self) -> None:
        self._stage.show(f"curl -X POST …/api/v1/admin/provision/team -d '{json.dumps(TEAM)}'", "")
        with self._stage.step(f"Provision team {TEAM_NODE_ID} of {ORG_ID}: pipeline and dedicated agent"):
            answer = await submit(
                self._api, "/api/v1/admin/provision/team", TEAM, wait_s=int(PATIENCE_S), key=None
            )
            _succeeded(answer)
        self._stage.say(f"Run {answer['provisioning_run_id']} {answer['status']}")

    async def _look(self) -> None:
        for kind, name in (("cronjob", CRONJOB), ("deployment", AGENT), ("service", AGENT)):
            self._stage.show(*await self._cluster.show(kind, name))
        with self._stage.step("Wait until the dedicated agent is available"):
            await self._until("The dedicated agent is not available", self._agent_is_available)

    async def _agent_is_available(self) -> bool:
        deployment = await self._cluster.get("deployment", AGENT)
        return bool(deployment and (deployment.get("status") or {}).get("availableReplicas"))

    async def _learn(self) -> None:
        with self._stage.step("Run the AI pipeline now: a Job made from the CronJob learns from Slack"):
            answer = await self._api.post(team_path(ORG_ID, TEAM_NODE_ID) + "/pipeline/run", {})
            job = answer["job"]["name"]
            await self._until("The pipeline did not end", lambda: self._job_has_ended(job))
            log = await self._cluster.log_of_job(job)
            if not await self._job_is(job, "Complete"):
                raise Failure(f"The pipeline failed. Its log ends with: {log.strip()[-500:]}")
        self._stage.say(pipeline_summary(log))

    async def _job_has_ended(self, name: str) -> bool:
        return await self._job_is(name, "Complete") or await self._job_is(name, "Failed")

    async def _job_is(self, name: str, condition: str) -> bool:
        job = await self._cluster.get("job", name)
        conditions = ((job or {}).get("status") or {}).get("conditions") or ()
        return any(item["type"] == condition and item["status"] == "True" for item in conditions)

    async def _ask(self) -> None:
        question = {"org_id": ORG_ID, "team_node_id": TEAM_NODE_ID, "agent_name": "sre", "message": QUESTION}
        with self._stage.step(f"Ask the dedicated agent: {QUESTION}"):
            answer = await self._api.post("/api/v1/admin/agents/run", question)
        self._stage.quote(str(answer["answer"]))
        for source in answer.get("sources") or ():
            where = " ".join(str(source[name]) for name in ("channel", "thread_ts") if source.get(name))
            self._stage.say(f"Source: {source.get('title') or source.get('id')} ({where})")

    async def let_it_go(self) -> None:
        """Deprovision the team and look at what is left."""
        request = {"org_id": ORG_ID, "team_node_id": TEAM_NODE_ID, "delete_k8s_resources": True}
        with self._stage.step("Deprovision the team"):
            _succeeded(
                await submit(
                    self._api, "/api/v1/admin/deprovision/team", request, wait_s=int(PATIENCE_S), key=None
                )
            )
            # A Deployment's pods take a moment to end; the Deployment itself is gone once the run has ended.
            await self._until("Something of the team is left", self._nothing_is_left)
        selector = f"incidentfox.io/org-id={ORG_ID},incidentfox.io/team-node-id={TEAM_NODE_ID}"
        self._stage.show(*await self._cluster.show("cronjob,deployment,service", selector=selector))

    async def _nothing_is_left(self) -> bool:
        objects = (("cronjob", CRONJOB), ("deployment", AGENT), ("service", AGENT))
        return not any([await self._cluster.get(kind, name) for kind, name in objects])

    async def _until(self, otherwise: str, check: Callable[[], Coroutine[Any, Any, bool]]) -> None:
        if not await until(check, within_s=PATIENCE_S):
            raise Failure(f"{otherwise} after {PATIENCE_S:.0f} s.")


def _succeeded(answer: dict[str, Any]) -> None:
    if answer["status"] != "succeeded":
        reason = error_text(answer.get("error")) or f"it waits for {answer.get('waiting_for') or 'its end'}"
        raise Failure(f"Run {answer['provisioning_run_id']} is {answer['status']}: {reason}.")


def pipeline_summary(log: str) -> str:
    r"""What a run of the pipeline says it learned, from the JSON line that ends its log.

    >>> pipeline_summary('reading\n{"learned": 5, "threads_seen": 9, "channels": ["C1"]}')
    'The pipeline learned 5 entries from 9 threads in C1'
    """
    last = (log.strip().splitlines() or [""])[-1]
    try:
        summary = json.loads(last)
        channels = ", ".join(summary["channels"])
        learned, threads = summary["learned"], summary["threads_seen"]
    except (ValueError, KeyError, TypeError):
        return last or "The pipeline wrote no log."
    return f"The pipeline learned {learned} entries from {threads} threads in {channels}"


def _invite(stage: Stage, layout: Layout) -> None:
    """Where everything is, and what to try next."""
    say = stage.say
    stage.console.print(Text("\nEverything goes on running; Ctrl-C stops it.", style="bold"))
    say(f"Orchestrator   {layout.url} (API: {layout.url}/docs)")
    say(f"Shared agent   {layout.agent_url}")
    say(f"Admin token    {layout.token_file}")
    say(f"Logs           {layout.logs}")
    stage.console.print(Text("\nIn another shell:", style="bold"))
    say(f"export ORCHESTRATOR_URL={layout.url} ORCHESTRATOR_DATA_DIR={layout.data_dir}")
    say(f"export KUBECONFIG={layout.kubeconfig}")
    say("orchestrator teams get extend platform-sre")
    say("orchestrator provision --org extend --team payments --channel C99999 --schedule 'H 3 * * *'")
    say(f"kubectl get all -n {NAMESPACE}")
    say("orchestrator deprovision --org extend --team platform-sre")
