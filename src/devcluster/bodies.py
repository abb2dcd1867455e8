"""Reading bodies: JSON or YAML, of the right kind, with the complaints of the API server."""

from typing import Any

import msgspec
import yaml

from devcluster.asgi import Request
from devcluster.decoding import Undecodable, decode_object
from devcluster.errors import ApiError, BadRequest, UnsupportedMediaType
from devcluster.kinds import EVENTS_V1, ResourceType
from devcluster.lifecycle import refuse_nameless
from devcluster.objects import Object
from devcluster.representation import from_events_v1
from devcluster.schema import schema_of
from devcluster.targets import Target

_YAML_TYPES = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})
#: What some commands of kubectl send, `create namespace` for one.
PROTOBUF = "application/vnd.kubernetes.protobuf"
_STRICTNESS = ("Ignore", "Warn", "Strict")


class _Loader(yaml.CSafeLoader):
    """YAML as Kubernetes reads it: a date is text."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


def parse_yaml(body: bytes) -> Any:
    """YAML, or JSON, which is YAML too.

    Raises:
        BadRequest: neither.
    """
    if body[:1] == b"{":
        try:
            return msgspec.json.decode(body)
        except msgspec.DecodeError:
            pass
    try:
        return yaml.load(body, Loader=_Loader)  # noqa: S506 - a safe loader
    except yaml.YAMLError as error:
        raise BadRequest(
            f"error decoding YAML: error converting YAML to JSON: yaml: {_problem(error)}"
        ) from error


def _problem(error: yaml.YAMLError) -> str:
    """What is wrong, as Kubernetes' parser says it, which counts lines from zero in some cases."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return str(error)
    problem, mark = error.problem or str(error), error.problem_mark or error.context_mark
    number = 0
    if mark is not None:
        number = mark.line + (0 if isinstance(error, yaml.parser.ParserError) else 1)
    line = f"line {number}: " if number else ""
    expected = problem.partition(", but got")[0]
    return f"{line}did not find {expected}" if expected.startswith("expected") else f"{line}{problem}"


def parse_json(body: bytes, what: str) -> Any:
    """JSON.

    Raises:
        BadRequest: it is none; `what` begins the sentence.
    """
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise BadRequest(f"{what}: {_go_json_error(body, error)}") from error


def _go_json_error(body: bytes, error: Exception) -> str:
    if "truncated" in str(error) or not body:
        return "unexpected end of JSON input"
    return str(error)


def parse_object(
    request: Request, target: Target, resource_type: ResourceType
) -> tuple[Object, tuple[str, ...]]:
    """The object in the body of a create or replace, decoded, and warnings about it.

    Raises:
        ApiError: no JSON or YAML, another kind, a field that does not decode, an unknown one with `Strict`.
    """
    kind = resource_type.kind
    if request.content_type in _YAML_TYPES:
        raw = parse_yaml(request.body)
    elif request.content_type in {"application/json", ""}:
        shown = request.body[:32].decode("utf-8", "replace")
        what = (
            f"the object provided is unrecognized (must be of type {kind}): couldn't get version/kind; "
            "json parse error"
        )
        try:
            raw = parse_json(request.body, what)
        except BadRequest as error:
            raise BadRequest(f"{error.message} ({shown})") from error
    elif request.content_type == PROTOBUF:
        sentence = "the dev cluster does not read protobuf: say it with a file, as in `kubectl create -f`"
        raise UnsupportedMediaType(sentence, details={})
    else:
        raise unsupported_media_type()
    if not isinstance(raw, dict):
        raise BadRequest(f"the object provided is unrecognized (must be of type {kind}): not an object")
    _check_type(raw, resource_type)
    decoded, warnings = decode_sent(raw, resource_type, request)
    if resource_type is EVENTS_V1:
        decoded = from_events_v1(decoded)
    place(decoded, target, resource_type, request.method)
    return decoded, warnings


def unsupported_media_type() -> ApiError:
    """The refusal of a body's type."""
    return UnsupportedMediaType("415: Unsupported Media Type", details={})


def decode_sent(raw: Object, resource_type: ResourceType, request: Request) -> tuple[Object, tuple[str, ...]]:
    """An object in its stored form, and warnings about fields that its kind does not declare.

    Raises:
        BadRequest: a value of the wrong type, or an unknown field with `fieldValidation=Strict`.
    """
    strictness = request.query.get("fieldValidation") or "Warn"
    if strictness not in _STRICTNESS:
        listed = ", ".join(f'"{item}"' for item in ("", *_STRICTNESS))
        sentence = f'fieldValidation: Unsupported value: "{strictness}": supported values: {listed}'
        raise ApiError(f'"" is invalid: {sentence}', status=422, reason="Invalid", details={})
    kind = resource_type.kind
    cannot = f'{kind} in version "{resource_type.version}" cannot be handled as a {kind}'
    try:
        decoded, unknown = decode_object(raw, schema_of(resource_type))
    except Undecodable as error:
        raise BadRequest(f"{cannot}: {error}") from error
    complaints = tuple(f'unknown field "{path}"' for path in unknown)
    if complaints and strictness == "Strict":
        raise BadRequest(f"{cannot}: strict decoding error: {', '.join(complaints)}")
    decoded["apiVersion"], decoded["kind"] = resource_type.api_version, resource_type.kind
    return decoded, complaints if strictness == "Warn" else ()


def _check_type(raw: Object, resource_type: ResourceType) -> None:
    api_version, kind = raw.get("apiVersion") or "", raw.get("kind") or ""
    if not isinstance(api_version, str) or not isinstance(kind, str):
        raise BadRequest("couldn't get version/kind; json parse error: apiVersion and kind must be strings")
    if kind in {"", resource_type.kind} and api_version in {"", resource_type.api_version}:
        return
    version = (api_version or resource_type.api_version).rpartition("/")[2]
    if api_version == resource_type.api_version:
        where = f'no kind "{kind}" is registered for version "{api_version}" in scheme'
        raise BadRequest(
            f'{kind} in version "{version}" cannot be handled as a {resource_type.kind}: {where} '
            '"pkg/api/legacyscheme/scheme.go:30"'
        )
    raise BadRequest(
        f"the API version in the data ({api_version}) does not match the expected API version "
        f"({resource_type.api_version})"
    )


def place(obj: Object, target: Target, resource_type: ResourceType, method: str) -> None:
    """Make name and namespace of an object agree with the path, in place.

    Raises:
        BadRequest: they contradict each other.
    """
    metadata = obj["metadata"] = obj.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise BadRequest("json: cannot unmarshal into Go struct field .metadata of type v1.ObjectMeta")
    for field in ("name", "namespace"):
        value = metadata.get(field)
        if value is not None and not isinstance(value, str):
            sentence = "json: cannot unmarshal into Go struct field ObjectMeta.metadata"
            raise BadRequest(f"{sentence}.{field} of type string")
    if resource_type.namespaced and target.namespace:
        if metadata.get("namespace") not in {None, "", target.namespace}:
            raise BadRequest(
                "the namespace of the provided object does not match the namespace sent on the request"
            )
        metadata["namespace"] = target.namespace
    elif not resource_type.namespaced:
        metadata.pop("namespace", None)
    if target.name is None:
        return
    if metadata.get("name") not in {None, "", target.name}:
        raise BadRequest(
            f"the name of the object ({metadata['name']}) does not match the name on the URL ({target.name})"
        )
    if method == "PUT" and not metadata.get("name"):
        refuse_nameless(resource_type)
    metadata["name"] = target.name
