"""Readiness, liveness and startup probes, as the kubelet runs them."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import httpx2

from devcluster.objects import Object

#: Runs a command in the container within so many seconds: its exit code, or `None` when it took longer.
Exec = Callable[[Sequence[str], float], Awaitable[int | None]]
#: Hears of every attempt: whether it succeeded, and why not.
Report = Callable[[bool, str], None]

#: While a container starts, its first success is looked for more often than its period says, so that it is
#: found ready at once; the pause grows so that a slow starter is not disturbed.
_FIRST_PAUSE_S = 0.05
_PAUSE_GROWTH = 1.3

_SUCCESSES = range(200, 400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """When to probe and how to judge; seconds and counts, with Kubernetes' defaults."""

    initial_delay_s: float = 0
    period_s: float = 10
    timeout_s: float = 1
    success_threshold: int = 1
    failure_threshold: int = 3

    @classmethod
    def of(cls, probe: Object) -> "Timing":
        """The timing of a `v1.Probe`; zero means the default, as everywhere in Kubernetes."""
        return cls(
            initial_delay_s=probe.get("initialDelaySeconds") or 0,
            period_s=probe.get("periodSeconds") or 10,
            timeout_s=probe.get("timeoutSeconds") or 1,
            success_threshold=probe.get("successThreshold") or 1,
            failure_threshold=probe.get("failureThreshold") or 3,
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the attempts so far say: `healthy` is `None` until a threshold is reached."""

    healthy: bool | None = None
    streak: int = 0
    succeeding: bool = False

    def after(self, success: bool, timing: Timing) -> "Verdict":
        """The verdict with one more attempt."""
        streak = self.streak + 1 if success == self.succeeding else 1
        threshold = timing.success_threshold if success else timing.failure_threshold
        return Verdict(success if streak >= threshold else self.healthy, streak, success)


class Prober:
    """Probes one container."""

    def __init__(self, *, container: Object, address: str, http: httpx2.AsyncClient, execute: Exec) -> None:
        self._container = container
        self._address = address
        self._http = http
        self._execute = execute

    async def watch(self, probe: Object, changed: Callable[[bool], None], report: Report) -> None:
        """Probe for ever, and say so whenever the verdict changes."""
        timing = Timing.of(probe)
        await asyncio.sleep(timing.initial_delay_s)
        verdict, pause = Verdict(), _FIRST_PAUSE_S
        while True:
            success, message = await self._attempt(probe, timing)
            report(success, message)
            following = verdict.after(success, timing)
            if following.healthy is not None and following.healthy != verdict.healthy:
                changed(following.healthy)
            verdict = following
            if verdict.healthy:
                pause = timing.period_s
            await asyncio.sleep(min(pause, timing.period_s))
            pause *= _PAUSE_GROWTH

    async def first_success(self, probe: Object, report: Report) -> bool:
        """Probe until the first success: true; or false when the time that the probe allows is over."""
        timing = Timing.of(probe)
        await asyncio.sleep(timing.initial_delay_s)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timing.period_s * timing.failure_threshold
        pause = _FIRST_PAUSE_S
        while True:
            success, message = await self._attempt(probe, timing)
            report(success, message)
            if success:
                return True
            if loop.time() >= deadline:
                return False
            await asyncio.sleep(min(pause, timing.period_s))
            pause *= _PAUSE_GROWTH

    async def until_unhealthy(self, probe: Object, report: Report) -> None:
        """Probe at the declared pace until the failure threshold is reached."""
        timing = Timing.of(probe)
        await asyncio.sleep(timing.initial_delay_s)
        verdict = Verdict()
        while True:
            success, message = await self._attempt(probe, timing)
            report(success, message)
            verdict = verdict.after(success, timing)
            if verdict.healthy is False:
                return
            await asyncio.sleep(timing.period_s)

    async def _attempt(self, probe: Object, timing: Timing) -> tuple[bool, str]:
        if "httpGet" in probe:
            return await self._get(probe["httpGet"], timing)
        if "tcpSocket" in probe:
            return await self._connect(probe["tcpSocket"], timing)
        if "exec" in probe:
            code = await self._execute(probe["exec"]["command"], timing.timeout_s)
            return code == 0, "command timed out" if code is None else f"command exited with {code}"
        return False, f"the dev cluster has no probes of kind {', '.join(sorted(probe))}"

    async def _get(self, action: Object, timing: Timing) -> tuple[bool, str]:
        host = action.get("host") or self._address
        port = port_number(self._container, action["port"])
        path = action.get("path") or "/"
        url = f"{(action.get('scheme') or 'HTTP').lower()}://{host}:{port}/{path.removeprefix('/')}"
        headers = {"User-Agent": "kube-probe/1.36", "Connection": "close"}
        headers |= {header["name"]: header["value"] for header in action.get("httpHeaders") or []}
        try:
            async with asyncio.timeout(timing.timeout_s):
                answer = await self._http.get(url, headers=headers)
        except (httpx2.HTTPError, OSError, TimeoutError) as error:
            return False, f'Get "{url}": {str(error) or type(error).__name__}'
        return answer.status_code in _SUCCESSES, f"HTTP probe failed with statuscode: {answer.status_code}"

    async def _connect(self, action: Object, timing: Timing) -> tuple[bool, str]:
        host = action.get("host") or self._address
        port = port_number(self._container, action["port"])
        try:
            async with asyncio.timeout(timing.timeout_s):
                _, writer = await asyncio.open_connection(host, port)
        except (OSError, TimeoutError) as error:
            return False, f"dial tcp {host}:{port}: {str(error) or type(error).__name__}"
        writer.close()
        return True, ""


def port_number(container: Object, port: int | str) -> int:
    """The number of a port, given so or by the name it has in the container; 0 when there is none."""
    if isinstance(port, int):
        return port
    if port.isdigit():
        return int(port)
    ports = container.get("ports") or []
    return next((int(each["containerPort"]) for each in ports if each.get("name") == port), 0)
