"""What rocksdict hands out for one open database, and the check that this program knows all of it.

| families in the directory | open for writing | open for reading |
|---|---|---|
| those of this program | opened | opened |
| fewer: an older program wrote it | the new ones are made, empty | the missing ones read as empty |
| more: a newer program wrote it | refused | refused |

A newer program keeps in its families what this one would neither recover nor carry along: going on without it could
grant again what was granted. So a directory does not go back to an older program once the newer one has opened it,
unless the families are the same.
"""

import contextlib
from collections.abc import Iterable
from pathlib import Path

from rocksdict import AccessType, ColumnFamily, Options, Rdict

from fairlead.store import tuning
from fairlead.store.errors import StoreError
from fairlead.store.families import Family

# RocksDB's own, which Fairlead leaves empty.
_DEFAULT = "default"


class Handles:
    """Everything rocksdict handed out for one open database."""

    def __init__(self, path: Path, *, read_only: bool) -> None:
        """Raises StoreError for families of a newer program, and what rocksdict raises."""
        found = _families_there(path)
        opened = [family for family in Family if not read_only or family.column_family in found]
        access = AccessType.read_only(False) if read_only else AccessType.read_write()
        self.database = _open(path, access, opened)
        self.views: dict[Family, Rdict] = {}
        """Without those that an older program did not make, when it is open for reading."""
        self.columns: list[ColumnFamily] = []
        try:
            for family in opened:
                self.views[family] = self.database.get_column_family(family.column_family)
                self.columns.append(self.database.get_column_family_handle(family.column_family))
            if not read_only:
                tuning.compact_periodically(self.views)
        except BaseException:
            # The traceback keeps this object, and with it the database's lock, alive.
            self.close()
            raise

    def close(self) -> None:
        """Gives everything back; the database is closed when the last of it has gone."""
        self.columns.clear()
        for view in (*self.views.values(), self.database):
            # After a failed write closing says so again; what counts is that the handle goes.
            with contextlib.suppress(Exception):
                view.close()
        self.views.clear()
        del self.database


def _families_there(path: Path) -> set[str]:
    """Names of the column families of a database; none when there is no database yet. Raises StoreError."""
    if not (path / "CURRENT").exists():
        return set()
    found = set(Rdict.list_cf(str(path))) - {_DEFAULT}
    unknown = sorted(found - {family.column_family for family in Family})
    if unknown:
        names = ", ".join(repr(name) for name in unknown)
        raise StoreError(
            f"{path} has column families that this program does not know: {names}: a newer version of fairlead has "
            "used it; run that version, or restore a backup from before it"
        )
    return found


def _open(path: Path, access: AccessType, families: Iterable[Family]) -> Rdict:
    try:
        return _open_compressed(path, access, families, compression=True)
    except Exception as error:
        # A build of RocksDB without the compression libraries still works, it only takes more disk.
        if "not linked" not in str(error):
            raise
        return _open_compressed(path, access, families, compression=False)


def _open_compressed(path: Path, access: AccessType, families: Iterable[Family], *, compression: bool) -> Rdict:
    options = tuning.family_options(compression=compression)
    wanted: dict[str, Options] = {family.column_family: options[family.column_family] for family in families}
    return Rdict(
        str(path),
        tuning.database_options(compression=compression),
        column_families=wanted,
        access_type=access,
    )
