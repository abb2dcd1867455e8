"""Conditions in Kubernetes' shape: constant reasons, and the generation they speak for."""

import enum
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

ConditionStatus = Literal["True", "False", "Unknown"]


class ConditionType(enum.StrEnum):
    """What a team's conditions speak of."""

    #: The cluster and the Config Service have taken everything that is wanted.
    PROVISIONED = "Provisioned"
    #: The team is served: routed, and its agent available.
    READY = "Ready"
    #: Something is wrong that somebody should know of.
    DEGRADED = "Degraded"


class Reason(enum.StrEnum):
    """Why a condition is as it is; constants that alerts may match."""

    APPLIED = "Applied"
    IN_PROGRESS = "InProgress"
    WAITING_FOR_DEPENDENCY = "WaitingForDependency"
    REFUSED = "Refused"
    SERVED_BY_SHARED_AGENT = "ServedBySharedAgent"
    AGENT_AVAILABLE = "AgentAvailable"
    AGENT_NOT_AVAILABLE = "AgentNotAvailable"
    SUSPENDED = "Suspended"
    DEPROVISIONING = "Deprovisioning"
    DEPROVISIONED = "Deprovisioned"
    DELETION_HELD = "DeletionHeld"
    FIELDS_FOUGHT_OVER = "FieldsFoughtOver"
    BRAKE_ENGAGED = "BrakeEngaged"
    AS_EXPECTED = "AsExpected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One statement about a team."""

    type: ConditionType
    status: ConditionStatus
    reason: Reason
    message: str
    observed_generation: int
    last_transition_time: datetime


def merged(old: Iterable[Condition], new: Iterable[Condition]) -> tuple[Condition, ...]:
    """The new conditions; one whose status did not change keeps the time of its last transition."""
    before = {condition.type: condition for condition in old}
    return tuple(
        replace(condition, last_transition_time=before[condition.type].last_transition_time)
        if condition.type in before and before[condition.type].status == condition.status
        else condition
        for condition in new
    )
