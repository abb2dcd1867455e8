"""Backup and return of an installation on SQLite: both databases and the key of the tokens, in one file.

PostgreSQL has tools of its own for this; docs/operations.md says which.
"""

import contextlib
import fcntl
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from servicekit.migrations import Migrations

#: While somebody serves from a data folder, this file in it is locked.
LOCK_NAME = "in-use.lock"


class BackupError(Exception):
    """It cannot be done; the sentence says why, and nothing was changed."""


@contextlib.contextmanager
def in_use(folder: Path, *, alone: bool = False) -> Iterator[None]:
    """Hold the data folder: together with others who serve from it, or alone.

    Raises:
        BackupError: somebody holds it in a way that does not go with this.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_NAME).open("a") as lock:
        try:
            fcntl.flock(lock, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            words = "a server uses it; stop it first" if alone else "it is being restored"
            raise BackupError(f"The data folder {folder} is in use: {words}.") from error
        yield


def back_up(databases: Mapping[str, Path], secrets: Mapping[str, Path], archive: Path) -> None:
    """Write everything into one file, readable by its owner alone; servers go on meanwhile.

    Args:
        databases: SQLite files by the name they get in the archive.
        secrets: further files, left out where they do not exist.
        archive: the file to write; an existing one is replaced once the new one is whole.

    Raises:
        BackupError: there is nothing to back up, or the file cannot be written.
    """
    if missing := [path for path in databases.values() if not path.is_file()]:
        raise BackupError(f"There is no database at {missing[0]}.")
    try:
        with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
            whole = Path(folder) / archive.name
            # Made first, so that it is never readable by others.
            os.close(os.open(whole, os.O_WRONLY | os.O_CREAT, 0o600))
            with tarfile.open(whole, "w:gz") as tar:
                for name, path in databases.items():
                    copy = Path(folder) / name
                    _copy(path, copy)
                    tar.add(copy, name)
                for name, path in secrets.items():
                    if path.is_file():
                        tar.add(path, name)
            whole.replace(archive)
    except OSError as error:
        raise BackupError(f"{archive} cannot be written: {error.strerror}.") from error


def restore(archive: Path, targets: Mapping[str, Path], schemas: Mapping[str, Migrations]) -> None:
    """Put everything back where it was; all of it is looked at before any of it is changed.

    Args:
        archive: what `back_up` has written.
        targets: where each member goes.
        schemas: the migrations of each database, to tell whether this version can work on it.

    Raises:
        BackupError: it is no backup, it is damaged, or it comes from a later version.
    """
    with tempfile.TemporaryDirectory(dir=next(iter(targets.values())).parent) as folder:
        try:
            with tarfile.open(archive) as tar:
                members = [
                    member for member in tar.getmembers() if member.isfile() and member.name in targets
                ]
                tar.extractall(folder, members, filter="data")
        except (OSError, tarfile.TarError) as error:
            raise BackupError(f"{archive} is not a backup: {error}.") from error
        found = {member.name for member in members}
        for name, migrations in schemas.items():
            if name not in found:
                raise BackupError(f"{archive} is not a backup: {name} is not in it.")
            _check(Path(folder) / name, name, migrations)
        for name in sorted(found):
            target = targets[name]
            # What a database has not folded in yet belongs to the one that is replaced.
            for suffix in ("-wal", "-shm"):
                target.with_name(target.name + suffix).unlink(missing_ok=True)
            (Path(folder) / name).replace(target)


def _copy(source: Path, copy: Path) -> None:
    """SQLite's online backup: one moment of the database, while others write."""
    with (
        contextlib.closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True)) as reader,
        contextlib.closing(sqlite3.connect(copy)) as writer,
    ):
        reader.backup(writer)


def _check(database: Path, name: str, migrations: Migrations) -> None:
    try:
        with contextlib.closing(sqlite3.connect(database)) as connection:
            (verdict,) = connection.execute("PRAGMA integrity_check").fetchone()
            query = f"SELECT version_num FROM {migrations.version_table}"  # noqa: S608 - a name of ours
            (revision,) = connection.execute(query).fetchone()
    except sqlite3.DatabaseError as error:
        raise BackupError(f"{name} in the backup is damaged: {error}.") from error
    if verdict != "ok":
        raise BackupError(f"{name} in the backup is damaged: {verdict}.")
    if not migrations.knows(revision):
        raise BackupError(f"{name} in the backup comes from a later version (schema {revision}).")
