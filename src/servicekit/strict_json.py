"""JSON bodies that can mean only one thing, and that every database and client can hold."""

import json
import math
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from email.message import Message
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from servicekit.problems import Invalid, field_name

#: How many levels of objects and lists a body may nest.
MAX_DEPTH = 40
#: Other programs do not read integers beyond 64 bits back alike.
_INTEGERS = range(-(2**63), 2**63)

Location = tuple[int | str, ...]


class StrictJsonRoute(APIRoute):
    """A route that refuses a body before anything reads it: what is not JSON, and what JSON leaves to chance."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given requests whose body was checked."""
        handler = super().get_route_handler()

        async def checked(request: Request) -> Response:
            body = await request.body()
            if not body or not _says_json(request):
                return await handler(request)
            return await handler(_Parsed(request, body, parse(body)))

        return checked


class _Parsed(Request):
    """A request whose JSON is parsed once."""

    def __init__(self, request: Request, body: bytes, document: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._body = body
        self._document = document

    async def json(self) -> Any:
        """The document."""
        return self._document


def parse(body: bytes) -> Any:
    """A body's JSON.

    Raises:
        Invalid: it is not JSON in UTF-8, names a member twice, nests too deeply, or holds numbers that are not finite
            or beyond 64 bits, NUL characters or lone surrogates; the field is named.
    """
    try:
        document = json.loads(body.decode(), object_pairs_hook=_members)
    except (ValueError, RecursionError) as error:
        raise Invalid.field("body", "is not valid JSON in UTF-8") from error
    mistake = next(_mistakes(document, ()), None)
    if mistake is not None:
        location, message = mistake
        raise Invalid.field(field_name(location), message)
    return document


class _Twice(dict[str, Any]):
    """An object that names a member more than once; readers differ in which of them counts."""

    def __init__(self, pairs: list[tuple[str, Any]], name: str) -> None:
        super().__init__(pairs)
        self.name = name


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
    return _Twice(pairs, name)


def _mistakes(value: Any, location: Location) -> Iterator[tuple[Location, str]]:
    if len(location) > MAX_DEPTH:
        yield location[:1], f"must not nest more than {MAX_DEPTH} levels"
    elif isinstance(value, dict):
        if isinstance(value, _Twice):
            yield (*location, _printable(value.name)), "is given twice"
        for name, member in value.items():
            if (message := _text_mistake(name)) is not None:
                yield (*location, _printable(name)), f"is a name that {message}"
            yield from _mistakes(member, (*location, _printable(name)))
    elif isinstance(value, list):
        for position, item in enumerate(value):
            yield from _mistakes(item, (*location, position))
    elif (message := _scalar_mistake(value)) is not None:
        yield location, message


def _scalar_mistake(value: Any) -> str | None:
    if isinstance(value, str):
        message = _text_mistake(value)
        return None if message is None else f"is a text that {message}"
    if isinstance(value, float) and not math.isfinite(value):
        return "must be a finite number"
    if isinstance(value, int) and value not in _INTEGERS:
        return "must be a number of 64 bits"
    return None


def _text_mistake(text: str) -> str | None:
    if "\0" in text:
        return "holds a NUL character"
    return None if _printable(text) == text else "holds half of a character (a lone surrogate)"


def _printable(text: str) -> str:
    """The text as an answer can hold it."""
    return text.encode(errors="replace").decode()


def _says_json(request: Request) -> bool:
    message = Message()
    message["content-type"] = request.headers.get("content-type", "text/plain")
    subtype = message.get_content_subtype()
    return message.get_content_maintype() == "application" and (
        subtype == "json" or subtype.endswith("+json")
    )
