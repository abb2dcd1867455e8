"""Replays recorded calls and compares what they agree on."""

import base64
import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

FOLDER = Path(__file__).parents[2] / "kube_recordings"
_NUMBERED_VERSION = re.compile(r"<rv\d+>")
_PLACEHOLDER = re.compile(r"<[A-Za-z]+>")


def scenarios():
    return sorted(path.stem for path in FOLDER.glob("*.json"))


def steps_of(scenario):
    return json.loads((FOLDER / f"{scenario}.json").read_text())["steps"]


@dataclass
class Replay:
    """What one scenario has seen so far, to be put in the place of placeholders."""

    #: The resourceVersion that each numbered placeholder stood for.
    versions: dict[str, str] = field(default_factory=dict)
    #: Objects by path, as last answered.
    seen: dict[str, Any] = field(default_factory=dict)
    list_version: str = ""
    continue_token: str = ""

    def request(self, client: httpx2.AsyncClient, recorded: dict[str, Any]) -> httpx2.Request:
        path, headers = recorded["path"], dict(recorded.get("headers", {}))
        query = {name: self._query_value(value) for name, value in (recorded.get("query") or {}).items()}
        if recorded.get("content_type"):
            headers["Content-Type"] = recorded["content_type"]
        body = recorded.get("body")
        content = None
        if isinstance(body, str):
            content = body.encode()
        elif body is not None:
            content = json.dumps(self._body(body, path)).encode()
        request = client.build_request(
            recorded["method"], path, params=query, headers=headers, content=content
        )
        if headers.get("Authorization") == "":
            del request.headers["Authorization"]
        return request

    def _query_value(self, value):
        return {"<list.resourceVersion>": self.list_version, "<continue>": self.continue_token}.get(
            value, value
        )

    def _body(self, value: Any, path: str) -> Any:
        """The recorded body with what the server answered before in the place of placeholders."""
        metadata = value.get("metadata") if isinstance(value, dict) else None
        if not isinstance(metadata, dict):
            return value
        earlier = self.seen.get(path, {}).get("metadata", {})
        filled = dict(metadata)
        for name, entry in metadata.items():
            if isinstance(entry, str) and _NUMBERED_VERSION.fullmatch(entry):
                filled[name] = self.versions[entry]
            elif entry == "<managedFields>":
                filled[name] = earlier.get(name, [{"manager": "somebody", "operation": "Apply"}])
            elif isinstance(entry, str) and _PLACEHOLDER.fullmatch(entry):
                filled[name] = earlier[name]
        return {**value, "metadata": filled}

    def remember(self, path: str, body: Any) -> None:
        if not isinstance(body, dict):
            return
        metadata = body.get("metadata") or {}
        if body.get("kind", "").endswith("List"):
            self.list_version = metadata.get("resourceVersion", "")
            self.continue_token = metadata.get("continue", self.continue_token)
        elif body.get("kind") != "Status":
            self.seen[path] = body
            self.seen[f"{path}/{metadata.get('name')}"] = body

    def differences(self, recorded: Any, answered: Any, path: str = "") -> list[str]:
        """Where an answer is not what was recorded, placeholders aside."""
        if isinstance(recorded, dict) and isinstance(answered, dict):
            return self._object_differences(recorded, answered, path)
        if isinstance(recorded, list) and isinstance(answered, list):
            if len(recorded) != len(answered):
                return [f"{path}: {len(recorded)} items recorded, {len(answered)} answered: {answered!r}"]
            pairs = enumerate(zip(recorded, answered, strict=True))
            return [item for at, pair in pairs for item in self.differences(*pair, f"{path}[{at}]")]
        if isinstance(recorded, str) and _NUMBERED_VERSION.fullmatch(recorded):
            return self._version_difference(recorded, answered, path)
        return [] if _agree(recorded, answered) else [f"{path}: recorded {recorded!r}, answered {answered!r}"]

    def _object_differences(self, recorded: Any, answered: Any, path: str) -> list[str]:
        found = []
        for key in recorded.keys() | answered.keys():
            here = f"{path}.{key}"
            if key not in recorded:
                found.append(f"{here}: not recorded, answered {answered[key]!r}")
            elif key not in answered:
                found.append(f"{here}: recorded {recorded[key]!r}, not answered")
            else:
                found += self.differences(recorded[key], answered[key], here)
        return found

    def _version_difference(self, placeholder: str, answered: Any, path: str) -> list[str]:
        """Equal placeholders stand for equal versions, different ones for different versions."""
        known = self.versions.get(placeholder)
        if known is None:
            if answered in self.versions.values():
                return [f"{path}: {placeholder} is new, {answered} is not"]
            self.versions[placeholder] = answered
            return []
        return [] if known == answered else [f"{path}: {placeholder} was {known}, is {answered}"]


def _agree(recorded: Any, answered: Any) -> bool:
    """Whether two values are equal, where a placeholder stands for any text or number."""
    if recorded == "<managedFields>":
        return isinstance(answered, list) and bool(answered)
    if isinstance(recorded, str) and "<" in recorded and isinstance(answered, (str, int)):
        return _as_pattern(recorded).fullmatch(str(answered)) is not None
    return bool(recorded == answered)


def _as_pattern(recorded: str) -> re.Pattern[str]:
    parts = re.split(r"(<[A-Za-z]+>)", recorded)
    return re.compile(
        "".join(".+" if _PLACEHOLDER.fullmatch(part) else re.escape(part) for part in parts), re.DOTALL
    )


def big_secret() -> dict[str, Any]:
    """The body that was too long to record: 1.2 MB of data."""
    data = {"blob": base64.b64encode(b"x" * 1_200_000).decode()}
    metadata = {"name": "big", "namespace": "incidentfox"}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
