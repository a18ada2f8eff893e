-- name: has_partitions()$
-- False before the migration 0006, which makes the partitions, and in a database that faas never used.
SELECT EXISTS (SELECT FROM pg_class WHERE oid = to_regclass('executions') AND relkind = 'p')
   AND to_regclass('retention_marks') IS NOT NULL;

-- name: get_state()^
-- The clock of the database decides what is old: there is one, whereas each process has its own.
SELECT clock_timestamp() AS now,
       EXISTS (SELECT FROM retention_marks WHERE name = 'keeps_all') AS keeps_all,
       (SELECT id FROM retention_marks WHERE name = 'payloads_cleared') AS payloads_cleared,
       (SELECT at FROM retention_marks WHERE name = 'checked') AS checked_at,
       (SELECT at FROM retention_marks WHERE name = 'paused') AS paused_until;

-- name: set_mark(name, id, at)!
INSERT INTO retention_marks (name, id, at) VALUES (:name, :id, :at)
ON CONFLICT (name) DO UPDATE SET id = excluded.id, at = excluded.at;

-- name: limit_transaction(lock_timeout, statement_timeout, synchronous_commit)$
-- Settings of one transaction. While a change of partitions waits for its lock, every later statement waits behind it.
SELECT concat_ws(' ', set_config('lock_timeout', :lock_timeout::text, true),
                      set_config('statement_timeout', :statement_timeout::text, true),
                      set_config('synchronous_commit', :synchronous_commit::text, true));

-- name: list_partitions()
-- The partitions by time, without the default one. lower is NULL for the first partition: it has no lower bound.
SELECT relname AS name,
       substring(bounds FROM 'FROM \(''([0-9a-f-]+)''\)')::uuid AS lower,
       substring(bounds FROM 'TO \(''([0-9a-f-]+)''\)')::uuid AS upper
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid, LATERAL pg_get_expr(relpartbound, pg_class.oid) AS bounds
WHERE inhparent = 'executions'::regclass AND bounds <> 'DEFAULT'
ORDER BY upper;

-- name: find_unmovable(lower, upper, limit, budget)$
-- The greatest id of the range that stays in the default partition when :limit rows and about :budget bytes are moved.
SELECT id
FROM (
    SELECT id, row_number() OVER newer AS number, sum(bytes) OVER newer AS bytes
    FROM (
        SELECT id, coalesce(pg_column_size(input), 0) + coalesce(pg_column_size(output), 0)
                   + coalesce(pg_column_size(logs), 0) AS bytes
        FROM executions_default
        WHERE id >= :lower AND id < :upper
        ORDER BY id DESC
        LIMIT :limit::bigint + 1
    ) AS candidates
    WINDOW newer AS (ORDER BY id DESC)
) AS measured
WHERE number > :limit::bigint OR bytes > :budget::bigint
ORDER BY id DESC
LIMIT 1;

-- name: create_partition(name, lower, upper)$
-- How many rows of the default partition it took.
SELECT create_executions_partition(:name, :lower, :upper);

-- name: measure_default()$
-- Without indexes and out-of-line values: what a scan reads.
SELECT pg_relation_size('executions_default');

-- name: exclude_from_default(lower, upper)!
CALL exclude_from_executions_default(:lower, :upper);

-- name: validate_exclusion()!
-- Reads all rows, while others are inserted and changed.
ALTER TABLE executions_default VALIDATE CONSTRAINT of_next_partition;

-- name: has_exclusion()$
SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = 'executions_default'::regclass AND conname = 'of_next_partition');

-- name: readmit_to_default()!
CALL readmit_to_executions_default();

-- name: drop_partition(name)$
-- Whether it was dropped: a partition with a RUNNING execution stays.
SELECT drop_executions_partition(:name);

-- name: has_running(lower, upper)$
-- Asked before a partition is locked to be dropped: the first look at the index removes the entries of executions that
-- have ended, so the second one, under the lock, is short.
SELECT EXISTS (SELECT FROM executions WHERE status = 'RUNNING' AND id >= :lower AND id < :upper);

-- name: measure_partition(lower, upper, name)^
-- What dropping a partition deletes.
SELECT count(*) AS rows, coalesce(pg_total_relation_size(to_regclass(:name::text)), 0) AS bytes
FROM executions
WHERE id >= :lower AND id < :upper;

-- name: find_oldest_running(before)$
-- MATERIALIZED keeps the planner on the index of RUNNING executions: by the primary key it would read every older row.
WITH running AS MATERIALIZED (SELECT id FROM executions WHERE status = 'RUNNING')
SELECT id FROM running WHERE id < :before ORDER BY id LIMIT 1;

-- name: find_batch_end(lower, upper, limit, budget)$
-- The last id of a batch from :lower: of :limit rows, or of as many as have about :budget bytes of payload, whose sizes
-- are known without reading them. The statement that follows gets the range as constants, for which the planner chooses
-- the index and one partition.
SELECT id
FROM (
    SELECT id, sum(bytes) OVER (ORDER BY id) - bytes AS bytes_before
    FROM (
        SELECT id, coalesce(pg_column_size(input), 0) + coalesce(pg_column_size(output), 0) AS bytes
        FROM executions
        WHERE id >= :lower AND id < :upper
        ORDER BY id
        LIMIT :limit::bigint
    ) AS candidates
) AS measured
WHERE bytes_before < :budget::bigint
ORDER BY id DESC
LIMIT 1;

-- name: clear_payloads(lower, last)$
-- A RUNNING execution has its payload still to come.
WITH cleared AS (
    UPDATE executions SET input = NULL, output = NULL, logs = NULL, requests = NULL, payloads_expired = true
    WHERE id >= :lower AND id <= :last AND NOT payloads_expired AND status <> 'RUNNING'
    RETURNING id
)
SELECT count(*) FROM cleared;

-- name: measure_payloads(lower, upper)^
-- What clear_payloads would clear.
SELECT count(*) AS rows,
       coalesce(sum(pg_column_size(input) + coalesce(pg_column_size(output), 0) + coalesce(pg_column_size(logs), 0)
           + coalesce(pg_column_size(requests), 0)), 0)::bigint
       AS bytes
FROM executions
WHERE id >= :lower AND id < :upper AND NOT payloads_expired AND status <> 'RUNNING';

-- name: delete_executions(lower, last)$
WITH deleted AS (
    DELETE FROM executions WHERE id >= :lower AND id <= :last AND status <> 'RUNNING' RETURNING id
)
SELECT count(*) FROM deleted;

-- name: measure_executions(lower, upper)^
-- What delete_executions would delete.
SELECT count(*) AS rows, coalesce(sum(pg_column_size(executions.*)), 0)::bigint AS bytes
FROM executions
WHERE id >= :lower AND id < :upper AND status <> 'RUNNING';

-- name: list_deleted_functions(grace_seconds)
-- Those to clean now: never cleaned, or deleted so long ago that no statement which began before the deletion can still
-- insert an execution.
SELECT function_id, settled
FROM deleted_functions, LATERAL (
    SELECT deleted_at < clock_timestamp() - make_interval(secs => :grace_seconds::integer) AS settled
) AS age
WHERE settled OR cleaned_at IS NULL
ORDER BY deleted_at
LIMIT 1000;

-- name: list_executions_of(function_ids, lower, upper, limit, budget)
-- A batch with the same bounds as that of find_batch_end, in no particular order.
SELECT id
FROM (
    SELECT id, sum(bytes) OVER (ROWS UNBOUNDED PRECEDING) - bytes AS bytes_before
    FROM (
        SELECT id, coalesce(pg_column_size(input), 0) + coalesce(pg_column_size(output), 0) AS bytes
        FROM executions
        WHERE function_id = ANY(:function_ids::uuid[]) AND id >= :lower AND id < :upper
        LIMIT :limit::bigint
    ) AS candidates
) AS measured
WHERE bytes_before < :budget::bigint;

-- name: delete_listed(ids, lower, upper)$
-- The bounds let the planner choose one partition.
WITH deleted AS (
    DELETE FROM executions WHERE id = ANY(:ids::uuid[]) AND id >= :lower AND id < :upper RETURNING id
)
SELECT count(*) FROM deleted;

-- name: measure_executions_of(function_ids)^
SELECT count(*) AS rows, coalesce(sum(pg_column_size(executions.*)), 0)::bigint AS bytes
FROM executions
WHERE function_id = ANY(:function_ids::uuid[]);

-- name: mark_cleaned(function_ids)!
UPDATE deleted_functions SET cleaned_at = clock_timestamp() WHERE function_id = ANY(:function_ids::uuid[]);

-- name: forget_functions(function_ids)!
DELETE FROM deleted_functions WHERE function_id = ANY(:function_ids::uuid[]);

-- name: delete_archived_jobs(before, limit)$
WITH deleted AS (
    DELETE FROM pgmq.a_compilation_jobs
    WHERE msg_id IN (
        SELECT msg_id FROM pgmq.a_compilation_jobs WHERE archived_at < :before ORDER BY archived_at LIMIT :limit
    )
    RETURNING msg_id
)
SELECT count(*) FROM deleted;

-- name: delete_archived_results(before, limit)$
WITH deleted AS (
    DELETE FROM pgmq.a_compilation_results
    WHERE msg_id IN (
        SELECT msg_id FROM pgmq.a_compilation_results WHERE archived_at < :before ORDER BY archived_at LIMIT :limit
    )
    RETURNING msg_id
)
SELECT count(*) FROM deleted;

-- name: measure_archived_jobs(before)^
SELECT count(*) AS rows, coalesce(sum(pg_column_size(archived.*)), 0)::bigint AS bytes
FROM pgmq.a_compilation_jobs AS archived
WHERE archived_at < :before;

-- name: measure_archived_results(before)^
SELECT count(*) AS rows, coalesce(sum(pg_column_size(archived.*)), 0)::bigint AS bytes
FROM pgmq.a_compilation_results AS archived
WHERE archived_at < :before;

-- name: measure_tables(tables)
-- With indexes and out-of-line values. The size of a partitioned table is that of its partitions.
SELECT wanted AS name, sum(pg_total_relation_size(coalesce(relid, to_regclass(wanted))))::bigint AS bytes
FROM unnest(:tables::text[]) AS wanted LEFT JOIN LATERAL pg_partition_tree(to_regclass(wanted)) ON true
WHERE to_regclass(wanted) IS NOT NULL
GROUP BY wanted;
