-- name: describe_pgmq()^
-- Read from the catalogs: a role without USAGE on the schema may read them too.
SELECT
    EXISTS (
        SELECT FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = 'pgmq' AND relname = 'meta'
    ) AS installed,
    EXISTS (
        SELECT FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
        WHERE nspname = 'pgmq' AND proname = 'send' AND 'headers' = ANY (proargnames)
    ) AS has_headers,
    (SELECT extversion FROM pg_extension WHERE extname = 'pgmq') AS extension,
    (SELECT default_version FROM pg_available_extensions WHERE name = 'pgmq') AS available,
    coalesce((SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = 'pgmq'), true) AS may_use;

-- name: list_tables()
-- The tables of the current schema that are ours by name, and what this role may do with them: has_table_privilege
-- with several privileges asks for any of them, so each is asked for alone.
SELECT
    relname AS name,
    has_table_privilege(oid, 'SELECT') AND has_table_privilege(oid, 'INSERT')
        AND has_table_privilege(oid, 'UPDATE') AND has_table_privilege(oid, 'DELETE') AS may_use,
    pg_has_role(relowner, 'USAGE') AS may_alter
FROM pg_class
WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = current_schema())
    AND relkind IN ('r', 'p') AND relname IN (
        'functions', 'revisions', 'modules', 'unreferenced_modules', 'executions', 'processes', 'deleted_functions',
        'retention_marks', 'schema_migrations', 'tokens', 'token_changes', 'audit',
        'secrets'
    )
ORDER BY relname;

-- name: list_migrations()
-- What was applied, to be compared with the files.
SELECT version, name, sha256 FROM schema_migrations ORDER BY version;
