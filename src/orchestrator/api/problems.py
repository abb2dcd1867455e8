"""Problems in OpenAPI."""

from typing import Any

from servicekit.problems import Problem


def problems(*kinds: type[Problem]) -> dict[int | str, dict[str, Any]]:
    """OpenAPI responses for the problems that a route answers, besides those of every route."""
    by_status: dict[int | str, dict[str, Any]] = {}
    for kind in kinds:
        sentence = (kind.__doc__ or "").strip()
        entry = by_status.setdefault(
            kind.status, {"description": "", "content": {"application/problem+json": {}}}
        )
        entry["description"] = "; ".join(filter(None, (entry["description"], f"{kind.code}: {sentence}")))
    return by_status
