"""Any two ids -> names that Kubernetes takes and that no other team has.

A name follows the pattern `{prefix}-{org}-{team}` wherever Kubernetes takes it. Otherwise, and where another
team has claimed that very name (`a-b`+`c` and `a`+`b-c` read the same), the pattern is sanitised and cut, and
ends in eight hex digits of a SHA-256 over the exact pair.
"""

import hashlib
import itertools
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from orchestrator.domain.team import TeamKey, TeamNames

_LABEL = re.compile(r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(rf"{_LABEL.pattern}(?:\.{_LABEL.pattern})*")
_REFUSED = re.compile(r"[^a-z0-9-]")

#: Hex digits of the digest that ends a name that could not be taken to the letter.
_DIGEST_LENGTH = 8


@dataclass(frozen=True, slots=True)
class NameKind:
    """A family of names: what they start with, and what Kubernetes takes."""

    prefix: str
    #: Characters.
    limit: int
    #: A DNS-1123 subdomain rather than a label.
    dots_allowed: bool

    def takes(self, name: str) -> bool:
        """Whether Kubernetes takes this name for objects of this kind."""
        pattern = _SUBDOMAIN if self.dots_allowed else _LABEL
        return len(name) <= self.limit and pattern.fullmatch(name) is not None


#: CronJob; its Jobs add eleven characters, and their names are labels of their pods.
PIPELINE = NameKind("ai-pipeline", 52, dots_allowed=True)
#: Deployment and Service share it, and a Service's name is a DNS label.
AGENT = NameKind("agent-dedicated", 63, dots_allowed=False)
#: Short enough to be a label's value.
SECRET = NameKind("team-runtime", 63, dots_allowed=True)
NAMESPACE = NameKind("incidentfox", 63, dots_allowed=False)


def team_digest(key: TeamKey, *context: str) -> bytes:
    """A SHA-256 over the exact pair, and over what it is for; `a-b`+`c` is not `a`+`b-c`."""
    # No valid id holds a NUL, so no two different lists read the same.
    return hashlib.sha256("\0".join((key.org_id, key.team_node_id, *context)).encode()).digest()


def candidates(kind: NameKind, key: TeamKey) -> Iterator[str]:
    """Names for a team, best first: all valid, all different, always the same ones, without end.

    The first is the pattern to the letter where Kubernetes takes it. Later ones keep less of the pattern and
    then change the digest: whoever has claimed some of them, by chance or on purpose, cannot claim them all.
    """
    literal = f"{kind.prefix}-{key.org_id}-{key.team_node_id}"
    seen = set()
    if kind.takes(literal):
        seen.add(literal)
        yield literal
    base = _REFUSED.sub("-", literal.lower())[: kind.limit - _DIGEST_LENGTH - 1]
    for attempt in itertools.count():
        digest = team_digest(key, *([str(attempt)] if attempt else [])).hex()[:_DIGEST_LENGTH]
        for length in range(len(base), len(kind.prefix) - 1, -1):
            name = f"{base[:length].rstrip('-')}-{digest}"
            if name not in seen:
                seen.add(name)
                yield name


def claim(key: TeamKey, is_taken: Callable[[str], bool]) -> TeamNames:
    """The first free name of each kind.

    Args:
        key: The team.
        is_taken: Whether a name is claimed by *another* team, whatever its kind: no kind's prefix starts
            another's.
    """
    pipeline, agent, secret, namespace = (
        next(name for name in candidates(kind, key) if not is_taken(name))
        for kind in (PIPELINE, AGENT, SECRET, NAMESPACE)
    )
    return TeamNames(pipeline=pipeline, agent=agent, secret=secret, namespace=namespace)
