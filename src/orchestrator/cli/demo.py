"""Try the whole product on one machine: `orchestrator demo`."""


def demo() -> None:
    """Demo."""
