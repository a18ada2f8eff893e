-- name: get_backup_info()^
-- The time of the snapshot and the versions; pgmq is NULL unless it is installed as an extension.
SELECT transaction_timestamp() AS taken_at, current_setting('server_version') AS postgres,
       (SELECT extversion FROM pg_extension WHERE extname = 'pgmq') AS pgmq;

-- name: list_migrations()
SELECT name, sha256 FROM schema_migrations ORDER BY version;

-- name: list_columns(tables)
-- The columns of those tables that exist, in their order. Generated columns are omitted, because the database computes
-- them.
SELECT table_name, attname::text AS name, format_type(atttypid, atttypmod) AS type
FROM unnest(:tables::text[]) WITH ORDINALITY AS wanted (table_name, position)
JOIN pg_attribute ON attrelid = to_regclass(table_name)
WHERE attnum > 0 AND NOT attisdropped AND attgenerated = ''
ORDER BY wanted.position, attnum;

-- name: list_positions(queues)
-- The last message id that each queue assigned; 0 for none.
SELECT queue, coalesce(pg_sequence_last_value(pg_get_serial_sequence('pgmq.q_' || queue, 'msg_id')::regclass), 0)
       AS position
FROM unnest(:queues::text[]) AS queue
WHERE to_regclass('pgmq.q_' || queue) IS NOT NULL;

-- name: find_relation()$
-- A relation that makes the database non-empty: one that belongs neither to an extension nor to pgmq's own SQL.
SELECT format('%I.%I', nspname, relname)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE relkind IN ('r', 'p', 'v', 'm', 'f')
  AND nspname <> 'information_schema' AND nspname !~ '^pg_'
  AND NOT (nspname = 'pgmq' AND relname !~ '^[qa]_')
  AND NOT EXISTS (SELECT FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid AND deptype = 'e')
ORDER BY 1
LIMIT 1;

-- name: set_position(queue, position)$
-- The next message gets the id after :position, as in the original database.
SELECT setval(pg_get_serial_sequence('pgmq.q_' || :queue::text, 'msg_id')::regclass,
              greatest(:position::bigint, 1), :position::bigint > 0);

-- name: check_constraints()!
-- The deferred ones now: a later migration cannot change a table that has checks to come.
SET CONSTRAINTS ALL IMMEDIATE;

-- name: close_running(taken_at)$
-- RUNNING executions become FAILED at the time of the backup: their process is not restored.
WITH closed AS (
    UPDATE executions
    SET status = 'FAILED', error_message = 'interrupted', completed_at = greatest(started_at, :taken_at::timestamptz)
    WHERE status = 'RUNNING'
    RETURNING id
)
SELECT count(*) FROM closed;

-- name: release_jobs()$
-- Resets the visibility timeout of in-flight jobs: their consumer does not exist in the restored database.
SELECT count(*)
FROM pgmq.q_compilation_jobs AS job, LATERAL pgmq.set_vt('compilation_jobs', job.msg_id, 0)
WHERE job.vt > clock_timestamp();

-- name: release_results()$
-- The same for in-flight results.
SELECT count(*)
FROM pgmq.q_compilation_results AS result, LATERAL pgmq.set_vt('compilation_results', result.msg_id, 0)
WHERE result.vt > clock_timestamp();
