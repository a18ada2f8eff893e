-- name: describe_server()^
-- One row of what a start needs to know of the server, the database and this role. datid tells client backends from
-- others without pg_read_all_stats; sessions of faas itself are not counted.
SELECT
    current_setting('server_version_num')::integer / 10000 AS major,
    split_part(current_setting('server_version'), ' ', 1) AS version,
    current_setting('server_encoding') AS encoding,
    pg_is_in_recovery() AS standby,
    current_setting('default_transaction_read_only')::boolean AS read_only,
    current_user AS role,
    current_database() AS database,
    current_schema() AS schema,
    coalesce(starts_with(current_schema(), 'pg_temp_'), false) AS temporary_schema,
    has_database_privilege(current_database(), 'CREATE') AS may_create_schemas,
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create_tables,
    current_setting('max_connections')::integer
        - current_setting('superuser_reserved_connections')::integer
        - (SELECT count(*) FROM pg_stat_activity
           WHERE datid IS NOT NULL AND pid <> pg_backend_pid() AND application_name NOT LIKE 'faas%') AS free_connections,
    clock_timestamp() AS now;

-- name: identify_backend()^
-- The server process of this statement. Behind a connection pooler, processes of several servers may have one pid.
SELECT pg_backend_pid() AS pid, (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS started;

-- name: try_lock(key)$
-- Of all processes and commands that share the database, one does the task of this key at a time. Held by the session.
SELECT pg_try_advisory_lock(:key);

-- name: unlock(key)$
SELECT pg_advisory_unlock(:key);
