-- name: start_execution(reference_id, reference_name, reference_revision, like, id, process_id, input, now, invoked_by)^
-- One statement finds the revision to run and, if it is READY, records RUNNING: what runs was live at that moment.
-- Returns the module to run, or why nothing was started: no row when there is no such function or revision, else the
-- revision's status.
WITH found AS (
    SELECT function.id, function.name, revision.number, revision.module_digest, revision.limits, revision.public,
           revision.reaches, revision.status, revision.compile_error, revision.number = function.live_revision IS TRUE AS live
    FROM executable_functions AS function
    JOIN executable_revisions AS revision
      ON revision.function_id = function.id
     AND revision.number = coalesce(:reference_revision::int, function.revision)
    WHERE (function.id = :reference_id::uuid OR function.name = :reference_name::text)
      AND (:like::text[] IS NULL OR function.name LIKE ANY (:like::text[]))
), started AS (
    INSERT INTO executions (id, function_id, revision, process_id, input, created_at, started_at, invoked_by)
    SELECT :id::uuid, found.id, found.number, :process_id::uuid, :input::json, :now::timestamptz, :now::timestamptz,
           :invoked_by::text
    FROM found
    WHERE status = 'READY'
)
SELECT id AS function_id, number AS revision, module_digest, name, live, limits, public, reaches, status, compile_error
FROM found;

-- name: start_executions(ids, reference_ids, reference_names, reference_revisions, inputs, times, invokers, process_id)
-- The same for a batch, in one commit. Returns a row for each execution that has started. The others are started alone,
-- because this statement does not say why they have not. It waits for no lock: a deploy that is being committed does not
-- delay it. OFFSET 0 fixes the order of the plan, which is made once and kept: from each request to its function and
-- revision, however many there are of these.
WITH requested AS (
    SELECT *
    FROM unnest(
        :ids::uuid[], :reference_ids::uuid[], :reference_names::text[], :reference_revisions::int[], :inputs::json[],
        :times::timestamptz[], :invokers::text[]
    ) AS requested (execution_id, reference_id, reference_name, reference_revision, input, now, invoked_by)
), ready AS MATERIALIZED (
    SELECT requested.execution_id, requested.input, requested.now, requested.invoked_by, function.id AS function_id, function.name,
           revision.number AS revision, revision.module_digest, revision.limits, revision.public, revision.reaches,
           revision.number = function.live_revision IS TRUE AS live
    FROM requested
    CROSS JOIN LATERAL (
        SELECT id, name, revision, live_revision
        FROM executable_functions
        WHERE id = requested.reference_id OR name = requested.reference_name
        OFFSET 0
    ) AS function
    CROSS JOIN LATERAL (
        SELECT number, module_digest, limits, public, reaches
        FROM executable_revisions
        WHERE function_id = function.id AND number = coalesce(requested.reference_revision, function.revision)
          AND status = 'READY'
        OFFSET 0
    ) AS revision
), started AS (
    INSERT INTO executions (id, function_id, revision, process_id, input, created_at, started_at, invoked_by)
    SELECT execution_id, function_id, revision, :process_id::uuid, input, now, now, invoked_by
    FROM ready
)
SELECT execution_id, function_id, revision, module_digest, name, live, limits, public, reaches FROM ready;

-- name: find_limits(reference_id, reference_name, reference_revision, like)^
-- The function, and of the revision that the reference runs, the limits and whether anyone may call it.
SELECT function.id AS function_id, revision.limits, revision.public
FROM executable_functions AS function
JOIN executable_revisions AS revision
  ON revision.function_id = function.id AND revision.number = coalesce(:reference_revision::int, function.revision)
WHERE (function.id = :reference_id::uuid OR function.name = :reference_name::text)
  AND (:like::text[] IS NULL OR function.name LIKE ANY (:like::text[]));

-- name: get_settings(function_id, number)^
SELECT settings
FROM executable_settings
WHERE function_id = :function_id AND number = :number;

-- name: find_function_id(reference_id, reference_name, like)^
-- The id by which the function's executions are listed.
SELECT id
FROM executable_functions
WHERE (id = :reference_id::uuid OR name = :reference_name::text)
  AND (:like::text[] IS NULL OR name LIKE ANY (:like::text[]));

-- name: get_module(module_digest)^
SELECT wasm
FROM executable_modules
WHERE digest = :module_digest;

-- name: end_executions(ids, outputs, errors, logs, requests, times, least, greatest)
-- Guarded by status: an execution that was reaped as interrupted stays so. NOT IN keeps the planner off the partial
-- index executions_running, which holds dead entries for every past execution until the next vacuum. :least and
-- :greatest are the bounds of the ids: they exclude the other partitions before the statement runs, whereas the join
-- would exclude them for each row.
UPDATE executions
SET status = CASE WHEN ended.error IS NULL THEN 'COMPLETED' ELSE 'FAILED' END,
    output = ended.output, error_message = ended.error, logs = ended.logs, requests = ended.requests,
    completed_at = ended.now
FROM unnest(
    :ids::uuid[], :outputs::json[], :errors::text[], :logs::text[], :requests::json[], :times::timestamptz[]
) AS ended (id, output, error, logs, requests, now)
WHERE executions.id = ended.id AND executions.id >= :least::uuid AND executions.id <= :greatest::uuid
  AND executions.status NOT IN ('COMPLETED', 'FAILED')
RETURNING executions.id;

-- name: get_execution(id, like, invoked_by)^
-- The columns of list_executions first, then those that lists leave out because they may be large. Those of a deleted
-- function are not found, although their rows are deleted later.
SELECT id, function_id, revision, status, output, error_message, created_at, started_at, completed_at, invoked_by, input,
       logs, requests, payloads_expired
FROM executions
WHERE id = :id
  AND (:invoked_by::text IS NULL OR invoked_by = :invoked_by::text)
  AND EXISTS (
      SELECT FROM executable_functions AS function
      WHERE function.id = executions.function_id AND (:like::text[] IS NULL OR function.name LIKE ANY (:like::text[]))
  );

-- name: list_executions(function_id, oldest, cursor, status, limit, budget)
-- Newest first, without inputs and logs. A page ends early when its outputs together exceed :budget bytes: outputs are
-- stored uncompressed, so pg_column_size knows their sizes without reading them. `found` counts up to :limit + 1
-- executions, so that the caller knows whether more follow.
-- The function is matched as a range of one id, and the order names function_id: with an equality, Postgres may scan
-- the primary key backwards instead, through every newer execution of all other functions. :oldest excludes older
-- partitions while the statement is planned.
SELECT id, function_id, revision, status, output, error_message, created_at, started_at, completed_at, invoked_by, found
FROM (
    SELECT *, count(*) OVER () AS found, row_number() OVER newest AS position,
           sum(coalesce(pg_column_size(output), 0)) OVER newest - coalesce(pg_column_size(output), 0) AS bytes_before
    FROM (
        SELECT id, function_id, revision, status, output, error_message, created_at, started_at, completed_at, invoked_by
        FROM executions
        WHERE function_id >= :function_id AND function_id <= :function_id
          AND id >= :oldest::uuid
          AND (:cursor::uuid IS NULL OR id < :cursor::uuid)
          AND (:status::text IS NULL OR status = :status::text)
        ORDER BY function_id, id DESC
        LIMIT :limit::bigint + 1
    ) AS candidates
    WINDOW newest AS (ORDER BY id DESC)
) AS measured
WHERE position <= :limit::bigint AND bytes_before < :budget::bigint
ORDER BY id DESC;

-- name: list_older_executions(function_id, before, statuses, limit, budget)
-- The same before :before, in all partitions. Planned once for each connection (keep_plan): planning for 100 partitions
-- takes ten times as long as the rest. So a parameter that may be NULL cannot be part of it, and FAILED and RUNNING, which
-- have indexes of their own, are statements of their own.
SELECT id, function_id, revision, status, output, error_message, created_at, started_at, completed_at, invoked_by, found
FROM (
    SELECT *, count(*) OVER () AS found, row_number() OVER newest AS position,
           sum(coalesce(pg_column_size(output), 0)) OVER newest - coalesce(pg_column_size(output), 0) AS bytes_before
    FROM (
        SELECT id, function_id, revision, status, output, error_message, created_at, started_at, completed_at, invoked_by
        FROM executions
        WHERE function_id >= :function_id AND function_id <= :function_id AND id < :before AND status = ANY(:statuses::text[])
        ORDER BY function_id, id DESC
        LIMIT :limit::bigint + 1
    ) AS candidates
    WINDOW newest AS (ORDER BY id DESC)
) AS measured
WHERE position <= :limit::bigint AND bytes_before < :budget::bigint
ORDER BY id DESC;

-- name: list_older_failed(function_id, before, limit, budget)
-- list_older_executions of the FAILED ones, by the index that has only these.
SELECT id, function_id, revision, status, output, error_message, created_at, started_at, completed_at, invoked_by, found
FROM (
    SELECT *, count(*) OVER () AS found, row_number() OVER newest AS position,
           sum(coalesce(pg_column_size(output), 0)) OVER newest - coalesce(pg_column_size(output), 0) AS bytes_before
    FROM (
        SELECT id, function_id, revision, status, output, error_message, created_at, started_at, completed_at, invoked_by
        FROM executions
        WHERE function_id >= :function_id AND function_id <= :function_id AND id < :before AND status = 'FAILED'
        ORDER BY function_id, id DESC
        LIMIT :limit::bigint + 1
    ) AS candidates
    WINDOW newest AS (ORDER BY id DESC)
) AS measured
WHERE position <= :limit::bigint AND bytes_before < :budget::bigint
ORDER BY id DESC;

-- name: list_older_running(function_id, before, limit)
-- list_older_executions of the RUNNING ones, which have no output that a page could be too large for. MATERIALIZED keeps
-- the planner on the index of RUNNING executions, whose columns are not those of the order.
WITH running AS MATERIALIZED (
    SELECT id, function_id, revision, status, output, error_message, created_at, started_at, completed_at, invoked_by
    FROM executions
    WHERE status = 'RUNNING'
)
SELECT id, function_id, revision, status, output, error_message, created_at, started_at, completed_at, invoked_by, found
FROM (
    SELECT *, count(*) OVER () AS found
    FROM (
        SELECT * FROM running WHERE function_id = :function_id AND id < :before ORDER BY id DESC LIMIT :limit::bigint + 1
    ) AS candidates
) AS counted
ORDER BY id DESC
LIMIT :limit::bigint;

-- name: keep_plan()$
-- For list_older_…, until the transaction ends: their kept plans must read the index in its order and stop, even if they
-- are made while the partitions are empty.
SELECT concat_ws(' ', set_config('plan_cache_mode', 'force_generic_plan', true),
                      set_config('enable_seqscan', 'off', true), set_config('enable_bitmapscan', 'off', true),
                      set_config('enable_sort', 'off', true), set_config('enable_incremental_sort', 'off', true));

-- name: send_heartbeat(id)!
-- A counter instead of a time stamp, so that the clocks of different machines are never compared.
INSERT INTO processes (id, beat) VALUES (:id, 1)
ON CONFLICT (id) DO UPDATE SET beat = processes.beat + 1;

-- name: list_heartbeats()
-- Every process with a heartbeat, and with -1 every process that has RUNNING executions but no heartbeat: the row of
-- such a process is never updated, so it becomes stale like any other.
SELECT id AS process_id, beat AS heartbeat FROM processes
UNION ALL
SELECT DISTINCT process_id, -1::bigint
FROM executions
WHERE status = 'RUNNING' AND NOT EXISTS (SELECT FROM processes WHERE processes.id = executions.process_id);

-- name: reap_executions(process_id, heartbeat)
-- Closes the executions of a stale process. The heartbeat is compared again in the same statement: a process that has
-- sent one since keeps its executions.
WITH stale AS (
    DELETE FROM processes
    WHERE id = :process_id AND beat = :heartbeat
    RETURNING id
)
UPDATE executions
SET status = 'FAILED', error_message = 'interrupted', completed_at = clock_timestamp()
WHERE status = 'RUNNING' AND process_id = :process_id
  AND (:heartbeat = -1 OR EXISTS (SELECT FROM stale))
RETURNING id;

-- name: deregister_process(id)!
-- The process shuts down gracefully and has no RUNNING executions: peers need not wait until its heartbeat is stale.
DELETE FROM processes WHERE id = :id;
