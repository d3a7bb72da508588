"""DBOS with its system database on SQLite: a workflow that calls five steps. Runs at once are threads that call it."""

from __future__ import annotations

import logging

from clock import STEPS, arguments, chains, say, size_bytes, text
from dbos import DBOS
from sqlalchemy import text as sql


def main() -> None:
    """Measures once."""
    directory, concurrent, runs, size = arguments()
    DBOS(
        config={
            "name": "chain",
            "system_database_url": f"sqlite:///{directory / 'system.sqlite'}",
            "log_level": "ERROR",
            "run_admin_server": False,
        }
    )

    @DBOS.step()
    def noop(given: str) -> str:
        return text(size)

    @DBOS.workflow()
    def chain(given: str) -> str:
        for _ in range(STEPS):
            given = noop(given)
        return given

    logging.getLogger("dbos").setLevel(logging.ERROR)
    DBOS.launch()
    try:
        figures = chains(lambda: chain(text(size)), concurrent, runs)
        synchronous, journal = pragmas()
    finally:
        DBOS.destroy()
    steps = (figures["runs"] + 1) * STEPS
    synced = f"SQLite synchronous={synchronous}, journal {journal}"
    say({**figures, "bytes": size_bytes(directory) / steps, "synced": synced})


def pragmas() -> tuple[int, str]:
    """How its own connections sync."""
    from dbos._dbos import _get_dbos_instance

    with _get_dbos_instance()._sys_db.engine.connect() as connection:
        return (
            connection.execute(sql("PRAGMA synchronous")).scalar_one(),
            connection.execute(sql("PRAGMA journal_mode")).scalar_one(),
        )


if __name__ == "__main__":
    main()
