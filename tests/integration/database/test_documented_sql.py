"""The SQL statements in the documentation run as printed."""

import re
from pathlib import Path
from uuid import uuid4

from faas.database.pool import Pool

DOCS = Path(__file__).parents[3] / "docs"


async def test_documented_sql_every_statement_runs(pool: Pool) -> None:
    function_id = str(uuid4())
    ran = 0
    for document in sorted(DOCS.rglob("*.md")):
        for block in re.findall(r"```sql\n(.*?)```", document.read_text(), flags=re.DOTALL):
            text = (
                re.sub(r"--.*", "", block)
                .replace("01a1…", function_id)
                .replace('"functionId": "…"', f'"functionId": "{function_id}"')
            )
            async with pool.acquire() as connection:
                for statement in filter(None, (part.strip() for part in text.split(";"))):
                    await connection.execute(statement)
                    ran += 1
    assert ran >= 10
