"""`python -m orchestrator.cli`: the same as `orchestrator`, wherever that script lies."""

from orchestrator.cli.main import app

app(prog_name="orchestrator")
