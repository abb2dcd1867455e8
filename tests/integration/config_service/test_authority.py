"""Every route: nobody without a token, nobody with another's."""

import pytest

ORG = "/api/v1/admin/orgs/extend"
INTERNAL = "/api/v1/internal"
PUT_TEAM = {"slack_channel_ids": [], "mode": "shared", "dedicated_service_url": None}

ADMIN_ONLY = [
    ("POST", f"{INTERNAL}/routing/lookup", {"slack_channel_id": "C1"}),
    ("POST", f"{INTERNAL}/channels/owners", {"slack_channel_ids": ["C1"]}),
    ("PUT", f"{INTERNAL}/teams/extend/sre", PUT_TEAM),
    ("GET", f"{INTERNAL}/teams/extend/sre", None),
    ("DELETE", f"{INTERNAL}/teams/extend/sre", None),
    ("DELETE", f"{INTERNAL}/teams/extend/sre/routing", None),
    ("POST", f"{INTERNAL}/teams/extend/sre/tokens", {"purpose": "team"}),
    ("DELETE", f"{INTERNAL}/teams/extend/sre/tokens", None),
    ("POST", f"{ORG}/admin-tokens", {}),
    ("GET", f"{ORG}/admin-tokens", None),
    ("DELETE", f"{ORG}/admin-tokens/x", None),
]
ORG_ROUTES = [
    ("POST", f"{ORG}/nodes", {"id": "new", "type": "team"}),
    ("GET", f"{ORG}/nodes", None),
    ("GET", f"{ORG}/nodes/sre", None),
    ("PATCH", f"{ORG}/nodes/sre", {"name": "SRE"}),
    ("GET", f"{ORG}/nodes/sre/config", None),
    ("PUT", f"{ORG}/nodes/sre/config", {"agent": {"mode": "shared"}}),
    ("PATCH", f"{ORG}/nodes/sre/config", {}),
    ("GET", f"{ORG}/nodes/sre/effective", None),
    ("GET", f"{ORG}/nodes/sre/history", None),
    ("POST", f"{ORG}/nodes/sre/rollback/1", None),
    ("GET", f"{ORG}/teams/sre/knowledge", None),
    ("POST", f"{ORG}/teams/sre/tokens", {}),
    ("GET", f"{ORG}/teams/sre/tokens", None),
    ("DELETE", f"{ORG}/teams/sre/tokens/x", None),
    ("DELETE", f"{ORG}/nodes/sre", None),
]
TEAM_ROUTES = [
    ("GET", "/api/v1/config/me/effective", None),
    ("PATCH", "/api/v1/config/me", {}),
    ("POST", "/api/v1/config/me/knowledge", {"entries": []}),
    ("GET", "/api/v1/config/me/knowledge", None),
    ("DELETE", "/api/v1/config/me/knowledge/x", None),
    ("PUT", "/api/v1/config/me/checkpoints/x", {"value": {}}),
    ("GET", "/api/v1/config/me/checkpoints/x", None),
]
ANYBODY = [("GET", "/api/v1/auth/me", None)]
EVERY_ROUTE = ADMIN_ONLY + ORG_ROUTES + TEAM_ROUTES + ANYBODY


def test_no_route_is_forgotten_here(app):
    documented = {
        (method.upper(), path)
        for path, methods in app.openapi()["paths"].items()
        if path.startswith("/api/")
        for method in methods
    }
    assert len(documented) == len(EVERY_ROUTE)


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer nonsense",
        "Basic aW5zdGFsbGF0aW9uLWFkbWlu",
        "installation-admin",
        "Bearer installation-admi",
        "Bearer installation-admin2",
        "Bearer \xe9\xff",
        "Bearer " + "x" * 5000,
    ],
)
async def test_a_stranger_gets_nowhere(stranger, authorization):
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}
    for method, path, body in EVERY_ROUTE:
        response = await stranger(method, path, body, headers=headers)
        assert response.status_code == 401, (method, path)
        assert response.headers["www-authenticate"] == "Bearer"
        assert response.headers["content-type"] == "application/problem+json"


async def test_a_stranger_learns_nothing_from_a_broken_body(stranger):
    response = await stranger(
        "PUT", f"{ORG}/nodes/sre/config", content=b"{", headers={"Content-Type": "application/json"}
    )
    assert response.status_code == 401


async def test_a_team_reaches_no_admins_route(admin):
    team = await admin.as_team("extend", "sre")
    for method, path, body in ADMIN_ONLY + ORG_ROUTES:
        assert (await team(method, path, body)).status_code == 403, (method, path)


async def test_another_organisations_admin_reaches_nothing(admin):
    await admin.put_team("extend", "sre")
    await admin.put_team("acme", "sre")
    other = await admin.as_org_admin("acme")
    for method, path, body in ADMIN_ONLY + ORG_ROUTES + TEAM_ROUTES:
        assert (await other(method, path, body)).status_code == 403, (method, path)


async def test_an_org_admin_reaches_their_own_organisation(admin):
    await admin.put_team("extend", "sre")
    org_admin = await admin.as_org_admin("extend")
    for method, path, body in ORG_ROUTES:
        assert (await org_admin(method, path, body)).is_success, (method, path)
    for method, path, body in ADMIN_ONLY:
        assert (await org_admin(method, path, body)).status_code == 403, (method, path)


async def test_an_org_admin_does_not_reach_an_organisation_of_a_similar_name(admin):
    await admin.put_team("extend", "sre")
    await admin.put_team("Extend", "sre")
    await admin.put_team("extend.eu", "sre")
    org_admin = await admin.as_org_admin("extend")
    for org in ("Extend", "extend.eu"):
        response = await org_admin("GET", f"/api/v1/admin/orgs/{org}/nodes")
        assert response.status_code == 403


async def test_an_admin_is_no_team(admin):
    for method, path, body in TEAM_ROUTES:
        assert (await admin(method, path, body)).status_code == 403, (method, path)


async def test_no_secret_is_in_any_refusal(admin):
    await admin.put_team("extend", "sre")
    token = await admin.team_token("extend", "sre")
    team = admin.bearing(token)
    secret = token.rpartition("_")[2]
    for method, path, body in EVERY_ROUTE:
        assert secret not in (await team(method, path, body)).text
    broken = admin.bearing(token[:-1])
    assert secret[:-1] not in (await broken("GET", "/api/v1/auth/me")).text
