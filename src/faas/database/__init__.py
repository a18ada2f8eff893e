"""Postgres: the connection pool, held connections, migrations, named statements and the embedded server."""
