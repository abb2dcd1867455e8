"""The job that learns from a team's Slack conversations: resolved threads become knowledge entries."""

from pathlib import Path


def sample_export_dir() -> Path:
    """The folder of the small invented Slack export that is shipped for trying things out."""
    return Path(__file__).parent / "sample_export"
