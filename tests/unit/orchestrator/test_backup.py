"""Who may hold a data folder."""

from pathlib import Path

import pytest

from orchestrator.store.backup import BackupError, in_use


def test_a_folder_is_served_by_many_and_restored_by_one(tmp_path: Path) -> None:
    with in_use(tmp_path), in_use(tmp_path), pytest.raises(BackupError), in_use(tmp_path, alone=True):
        pass
    with in_use(tmp_path, alone=True), pytest.raises(BackupError), in_use(tmp_path):
        pass
