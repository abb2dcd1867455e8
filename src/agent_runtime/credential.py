"""The credential that a dedicated runtime carries: proof that the pod is the team's own."""

from pathlib import Path
from typing import Literal

import structlog

from agent_runtime.config_service import ConfigServiceClient
from servicekit.problems import Problem, Unauthorized

log = structlog.get_logger()

#: `unverified`: the Config Service could not be asked yet.
Verdict = Literal["accepted", "unverified", "missing", "rejected", "foreign"]


class RuntimeCredential:
    """The token in the mounted Secret, checked once for every content the file has had.

    The file is read at every check, because a rotated Secret replaces it. A content once accepted stays
    accepted: during a rotation the old token is revoked up to a minute before the new one is mounted, and
    that must not take a team's only pods out of service.

    Args:
        file: the mounted token.
        team: the `(org_id, team_node_id)` that it has to stand for.
        config_service: who knows.
    """

    def __init__(self, *, file: Path, team: tuple[str, str], config_service: ConfigServiceClient) -> None:
        self._file = file
        self._team = team
        self._config_service = config_service
        self._accepted: str | None = None

    async def check(self) -> Verdict:
        """Whether the pod carries its team's credential."""
        token = _read(self._file)
        if token is None or token == self._accepted:
            return "missing" if token is None else "accepted"
        try:
            identity = await self._config_service.identify(token)
        except Unauthorized:
            log.warning("runtime_token_rejected", file=str(self._file))
            return "rejected"
        except Problem:
            return "unverified"
        if identity.kind != "team" or (identity.org_id, identity.team_node_id) != self._team:
            log.error("runtime_token_of_another_team", file=str(self._file))
            return "foreign"
        self._accepted = token
        return "accepted"


def _read(file: Path) -> str | None:
    """The token in the file; `None` when there is no file or nothing in it that could be a token."""
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return token if token.isascii() and token.isprintable() and token else None
