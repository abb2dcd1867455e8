"""What a container asks for and may use: the team's wishes, completed by the installation's defaults."""

from orchestrator.domain import quantities
from orchestrator.domain.team import Resources


def effective(wanted: Resources, defaults: Resources, *, guaranteed: bool = False) -> Resources:
    """Requests and limits for every resource, requests never above limits, in canonical form.

    Where a team gives one of the two, the other is the default as far as it fits. `guaranteed` raises
    requests to the limits, where Kubernetes' Quality of Service class Guaranteed begins.

    Raises:
        InvalidQuantityError: one of the quantities is none.
    """
    requests: dict[str, str] = {}
    limits: dict[str, str] = {}
    for name in sorted({*wanted.requests, *wanted.limits, *defaults.requests, *defaults.limits}):
        request, limit = _of_one(name, wanted, defaults, guaranteed=guaranteed)
        requests[name] = quantities.canonical(request)
        limits[name] = quantities.canonical(limit)
    return Resources(requests=requests, limits=limits)


def _of_one(name: str, wanted: Resources, defaults: Resources, *, guaranteed: bool) -> tuple[str, str]:
    request, limit = wanted.requests.get(name), wanted.limits.get(name)
    default_limit = defaults.limits.get(name)
    default_request = defaults.requests.get(name, default_limit)
    if guaranteed:
        limit = limit or request or default_limit or default_request or "0"
        return limit, limit
    if limit is None:
        known = [quantity for quantity in (request, default_limit) if quantity is not None]
        limit = max(known or [default_request or "0"], key=quantities.parse)
    if request is None:
        request = min([default_request or limit, limit], key=quantities.parse)
    return request, limit
