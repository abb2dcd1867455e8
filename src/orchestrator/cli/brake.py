"""`orchestrator brake`: whether so much was to be put right at once that it was stopped, and to let it go on."""

import typer

from orchestrator.cli.formats import Output
from orchestrator.cli.options import DEFAULT_SERVER, Format, Server, Token, perform

app = typer.Typer(no_args_is_help=True, help="Look at the brake, and release it.")


@app.command("status")
def status(output: Format = Output.TABLE, server: Server = DEFAULT_SERVER, token: Token = None) -> None:
    """Show whether the brake is on. Exit status: 0 off, 1 on."""

    async def work() -> int:
        from orchestrator.cli.client import connect
        from orchestrator.cli.output import facts, write

        async with connect(server, token) as api:
            state = await api.get("/api/v1/admin/brake")
        write(output, state, [facts(list(state.items()))])
        return int(state["engaged"])

    perform(work())


@app.command("release")
def release(output: Format = Output.TABLE, server: Server = DEFAULT_SERVER, token: Token = None) -> None:
    """Say that what was stopped is meant; it goes on at once."""

    async def work() -> int:
        from orchestrator.cli.client import connect
        from orchestrator.cli.output import facts, write

        async with connect(server, token) as api:
            state = await api.post("/api/v1/admin/brake/release", {})
        write(output, state, [facts(list(state.items()))])
        return 0

    perform(work())
