"""The brake: whether it is on, and to let everything go on."""

from typing import Any

from fastapi import APIRouter

from orchestrator.api.auth import Admin
from orchestrator.api.schemas import iso
from orchestrator.api.services import TheServices
from orchestrator.store.brake import BrakeState

router = APIRouter(prefix="/api/v1/admin/brake", tags=["brake"])


@router.get("")
async def get_brake(caller: Admin, services: TheServices) -> dict[str, Any]:
    """Whether the brake is on, since when and why."""
    caller.require_installation()
    return _view(await services.braking.state())


@router.post("/release")
async def release_brake(caller: Admin, services: TheServices) -> dict[str, Any]:
    """What was stopped is meant: let it go on."""
    return _view(await services.braking.release(caller))


def _view(state: BrakeState) -> dict[str, Any]:
    return {
        "engaged": state.engaged_at is not None,
        "engaged_at": iso(state.engaged_at),
        "reason": state.reason,
        "released_at": iso(state.released_at),
        "released_by": state.released_by,
    }
