"""Teams of which nothing has moved since a pass found them as wanted: they need not be looked at all over again."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from orchestrator.cluster.index import fingerprint
from orchestrator.cluster.informers import Informers
from orchestrator.domain.manifests import Platform, object_namespace
from orchestrator.domain.objects import Manifest, Ref
from orchestrator.domain.team import Mode
from orchestrator.reconciler.outcome import Outcome, agent_outcome
from orchestrator.store.teams import TeamRecord


@dataclass(frozen=True, slots=True)
class _Reached:
    """What a whole pass ended with."""

    generation: int
    digest: bytes


class Steady:
    """Remembers what whole passes ended with, and compares it with what the watches know.

    A new agent that becomes available wakes its team; that this is all that has happened is then known without a
    single call. A team that is due gets a whole pass nevertheless: watches do not see the Config Service.
    """

    def __init__(self, informers: Informers, platform: Platform) -> None:
        self._informers = informers
        self._platform = platform
        self._reached: dict[object, _Reached] = {}

    def reached(self, team: TeamRecord, objects: Mapping[Ref, Manifest]) -> None:
        """A whole pass has found or made everything as wanted.

        Args:
            team: as the pass leaves it.
            objects: what it has seen of the cluster; never what a watch has told since, which may be news.
        """
        digest = _digest((ref, fingerprint(objects[ref])) for ref in team.inventory)
        self._reached[team.key] = _Reached(team.generation, digest)

    def forget(self, team: TeamRecord) -> None:
        """The team is on its way elsewhere."""
        self._reached.pop(team.key, None)

    def outcome(self, team: TeamRecord) -> Outcome | None:
        """What a whole pass would come to; `None`: that is not certain."""
        reached = self._reached.get(team.key)
        seen = team.observed_generation == team.generation and not team.failures
        if reached is None or reached.generation != team.generation or not seen:
            return None
        entries = {ref: self._informers.find(ref) for ref in team.inventory}
        known = {ref: entry for ref, entry in entries.items() if entry is not None and not entry.leaving}
        if len(known) < len(entries):
            return None
        if _digest((ref, entry.fingerprint) for ref, entry in known.items()) != reached.digest:
            return None
        available = True
        if team.spec.deployment_mode is Mode.DEDICATED:
            namespace = object_namespace(team.spec, team.names, self._platform)
            available = known[Ref("Deployment", namespace, team.names.agent)].available
        return agent_outcome(team, available=available)


def _digest(prints: Iterable[tuple[Ref, bytes]]) -> bytes:
    return hashlib.blake2b(b"".join(each for _, each in sorted(prints)), digest_size=16).digest()
