"""Who calls, and what they may: a known token may everything, everybody else hardly anything."""

from collections.abc import Mapping

from devcluster.asgi import Request
from devcluster.discovery import REVIEW_GROUP
from devcluster.errors import Forbidden, Unauthorized
from devcluster.targets import Target

ANONYMOUS = "system:anonymous"
#: What anybody may read, as `system:public-info-viewer` allows.
_PUBLIC_PATHS = frozenset({"/healthz", "/livez", "/readyz", "/version", "/version/"})


def authenticate(request: Request, tokens: Mapping[str, str]) -> tuple[str, bool]:
    """The caller's name, and whether they may everything.

    Raises:
        Unauthorized: a token that nobody has.
    """
    header = request.headers.get("authorization", "")
    if not header:
        return ANONYMOUS, False
    scheme, _, token = header.partition(" ")
    user = tokens.get(token.strip()) if scheme.lower() == "bearer" else None
    if user is None:
        raise Unauthorized("Unauthorized")
    impersonated = request.headers.get("impersonate-user")
    return (impersonated, False) if impersonated else (user, True)


def authorize(request: Request, target: Target | None, tokens: Mapping[str, str]) -> str:
    """The caller's name, if they may do this.

    Raises:
        Unauthorized: a token that nobody has.
        Forbidden: a caller without rights.
    """
    user, may_everything = authenticate(request, tokens)
    # As `system:basic-user` allows whoever is known.
    asks_about_itself = target is not None and target.group == REVIEW_GROUP and user != ANONYMOUS
    if may_everything or asks_about_itself or request.path in _PUBLIC_PATHS:
        return user
    if target is None:
        verb = request.method.lower()
        raise Forbidden(f'forbidden: User "{user}" cannot {verb} path "{request.path}"', details={})
    raise _refusal(user, target, target.verb(request) or request.method.lower())


def _refusal(user: str, target: Target, verb: str) -> Forbidden:
    resource = f"{target.plural}.{target.group}" if target.group else target.plural
    named = f'{resource} "{target.name}"' if target.name else resource
    below = f"{target.plural}/{target.subresource}" if target.subresource else target.plural
    where = f'in the namespace "{target.namespace}"' if target.namespace else "at the cluster scope"
    details = {"name": target.name} if target.name else {}
    if target.group:
        details["group"] = target.group
    details["kind"] = target.plural
    return Forbidden(
        f'{named} is forbidden: User "{user}" cannot {verb} resource "{below}" '
        f'in API group "{target.group}" {where}',
        details=details,
    )
