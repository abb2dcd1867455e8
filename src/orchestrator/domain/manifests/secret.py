"""The credential that a team's own pods carry."""

import base64

from orchestrator.domain.manifests import common
from orchestrator.domain.manifests.common import Manifest
from orchestrator.domain.team import TeamKey, TeamNames

#: Which token the Secret holds, so that the token itself need not be read to know.
TOKEN_ID_ANNOTATION = "incidentfox.io/token-id"  # noqa: S105 - the name of an annotation


def render_secret(key: TeamKey, names: TeamNames, namespace: str, *, token: str, token_id: str) -> Manifest:
    """The Secret with the team's runtime token, mounted as a file only in the team's own pods."""
    component = common.Component("team-runtime", names.secret, common.SECRET_COMPONENT)
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            **common.metadata(names.secret, namespace, key, component),
            "annotations": {TOKEN_ID_ANNOTATION: token_id},
        },
        "type": "Opaque",
        # Not `stringData`: the server folds it into `data`, and who owns which key is then nobody's guess.
        "data": {common.TOKEN_KEY: base64.b64encode(token.encode()).decode()},
    }


def with_credential_of(secret: Manifest, live: Manifest) -> Manifest:
    """The Secret with the credential that it has in the cluster: one that is valid is not made anew."""
    token_id = live["metadata"]["annotations"][TOKEN_ID_ANNOTATION]
    metadata = secret["metadata"] | {"annotations": {TOKEN_ID_ANNOTATION: token_id}}
    return secret | {"metadata": metadata, "data": {common.TOKEN_KEY: live["data"][common.TOKEN_KEY]}}
