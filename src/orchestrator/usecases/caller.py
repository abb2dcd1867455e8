"""Who asks, and what they may touch."""

from dataclasses import dataclass

from orchestrator.domain.team import TeamKey
from servicekit.problems import Forbidden


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody whose token was checked.

    Attributes:
        name: for the audit trail; never a token.
        org_id: the only org an org admin may touch; `None`: all of them.
    """

    name: str
    org_id: str | None = None

    def require_org(self, org_id: str) -> None:
        """Refuse an org that is not the caller's.

        Raises:
            Forbidden: it is another one.
        """
        if self.org_id is not None and self.org_id != org_id:
            raise Forbidden(reason=f"This token is not allowed to touch org {org_id}.")

    def require_installation(self) -> None:
        """Refuse who may not touch every org.

        Raises:
            Forbidden: the caller is an org's admin.
        """
        if self.org_id is not None:
            raise Forbidden(reason="Only an admin of the whole installation may do this.")

    def require_team(self, key: TeamKey) -> None:
        """Refuse a team of an org that is not the caller's."""
        self.require_org(key.org_id)
