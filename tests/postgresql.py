"""Statements on the PostgreSQL of the tests."""

import asyncio

import asyncpg


def run_sql(uri: str, statement: str) -> None:
    """One statement, outside of any transaction."""

    async def run() -> None:
        connection = await asyncpg.connect(uri)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run())
