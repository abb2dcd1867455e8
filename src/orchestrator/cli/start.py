"""How a long-running program is started from a shell: settings that explain themselves, the fastest loop."""

import asyncio
import os
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import typer
from rich.text import Text

from orchestrator.cli.failure import USAGE

SettingsT = TypeVar("SettingsT")


def load_settings(make: Callable[[], SettingsT], prefix: str) -> SettingsT:
    """The settings, from the environment.

    Args:
        make: builds them; raises pydantic's `ValidationError` when one is wrong.
        prefix: what the names of their variables begin with.

    Raises:
        typer.Exit: one is wrong; each wrong one has been said in a line of its own.
    """
    from pydantic import ValidationError

    from orchestrator.cli.output import remarks

    try:
        return make()
    except ValidationError as error:
        for item in error.errors(include_url=False, include_input=False):
            line = Text.assemble(("error: ", "bold red"), f"{variable(item['loc'], prefix)}: {item['msg']}")
            remarks().print(line, soft_wrap=True)
        raise typer.Exit(USAGE) from error


def variable(location: tuple[int | str, ...], prefix: str) -> str:
    """The environment variable behind a setting.

    >>> variable(("port",), "ORCHESTRATOR_"), variable(("CONFIG_SERVICE_URL",), "ORCHESTRATOR_")
    ('ORCHESTRATOR_PORT', 'CONFIG_SERVICE_URL')
    """
    if not location:
        return "settings"
    name = str(location[0])
    return name if name.isupper() else prefix + name.upper()


def export(**variables: Any) -> None:
    """Let options of the command line win over the environment, for this process and its children."""
    os.environ.update({name: str(value) for name, value in variables.items() if value is not None})


def run_until_stopped(program: Coroutine[Any, Any, None]) -> None:
    """Run a server until it is told to stop; Ctrl-C is an ordinary end."""
    import uvicorn

    factory = uvicorn.Config("unused:app").get_loop_factory()
    try:
        with asyncio.Runner(loop_factory=factory) as runner:
            runner.run(program)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
