-- name: start_execution(reference_id, reference_name, id, process_id, input, now)^
-- One statement checks that the function is READY, says which module to run and records RUNNING. Nothing comes back
-- when there is no such function or it is not READY.
WITH called AS (
    SELECT id, revision, wasm_digest
    FROM executable_functions
    WHERE status = 'READY' AND (id = :reference_id::uuid OR name = :reference_name::text)
), started AS (
    INSERT INTO executions (id, function_id, revision, process_id, input, created_at, started_at)
    SELECT :id::uuid, called.id, called.revision, :process_id::uuid, :input::json, :now::timestamptz, :now::timestamptz
    FROM called
)
SELECT id AS function_id, revision, wasm_digest FROM called;

-- name: start_executions(ids, reference_ids, reference_names, inputs, times, process_id)
-- The same for many at once, in one commit. A function whose row is locked, because it is being revised or deleted, is
-- passed over: its executions are then started alone, and wait alone.
WITH asked AS (
    SELECT *
    FROM unnest(
        :ids::uuid[], :reference_ids::uuid[], :reference_names::text[], :inputs::json[], :times::timestamptz[]
    ) AS asked (execution_id, reference_id, reference_name, input, now)
), called AS MATERIALIZED (
    SELECT asked.execution_id, asked.input, asked.now, function.id AS function_id, function.revision,
           function.wasm_digest
    FROM asked CROSS JOIN LATERAL (
        SELECT id, revision, wasm_digest
        FROM executable_functions
        WHERE status = 'READY' AND (id = asked.reference_id OR name = asked.reference_name)
        FOR KEY SHARE SKIP LOCKED
    ) AS function
), started AS (
    INSERT INTO executions (id, function_id, revision, process_id, input, created_at, started_at)
    SELECT execution_id, function_id, revision, :process_id::uuid, input, now, now
    FROM called
)
SELECT execution_id, function_id, revision, wasm_digest FROM called;

-- name: find_function(reference_id, reference_name)^
-- What a name or an id stands for, and why it cannot run when it cannot.
SELECT id, name, status, compile_error
FROM executable_functions
WHERE id = :reference_id::uuid OR name = :reference_name::text;

-- name: get_module(function_id, wasm_digest)^
-- The digest guards against a function that was revised between the two statements: its new module is not this one.
SELECT wasm_binary
FROM executable_functions
WHERE id = :function_id AND wasm_digest = :wasm_digest;

-- name: end_executions(ids, outputs, errors, logs, times)
-- Guarded: an execution that was closed as interrupted stays so. RUNNING is said as what it is not, lest the planner take
-- the index of what is RUNNING for the way to the rows: until a vacuum all that ever ran is in there.
UPDATE executions
SET status = CASE WHEN ended.error IS NULL THEN 'COMPLETED' ELSE 'FAILED' END,
    output = ended.output, error_message = ended.error, logs = ended.logs, completed_at = ended.now
FROM unnest(
    :ids::uuid[], :outputs::json[], :errors::text[], :logs::text[], :times::timestamptz[]
) AS ended (id, output, error, logs, now)
WHERE executions.id = ended.id AND executions.status NOT IN ('COMPLETED', 'FAILED')
RETURNING executions.id;

-- name: get_execution(id)^
SELECT id, function_id, revision, status, input, output, error_message, logs, created_at, started_at, completed_at
FROM executions
WHERE id = :id;

-- name: list_executions(function_id, cursor, status, limit, budget)
-- Newest first. Inputs and logs stay where they are. A page ends early where its outputs together pass :budget bytes
-- (outputs are stored uncompressed, so that their size is known without reading them); `found` says how many there are
-- up to :limit + 1, so that whoever asks knows whether more follow.
-- The function is asked for as a range of one, and the order says function_id: with an equality, Postgres may walk the
-- primary key backwards instead, past everything that other functions have done since.
SELECT id, function_id, status, output, error_message, created_at, started_at, completed_at, found
FROM (
    SELECT *, count(*) OVER () AS found, row_number() OVER newest AS position,
           sum(coalesce(pg_column_size(output), 0)) OVER newest - coalesce(pg_column_size(output), 0) AS bytes_before
    FROM (
        SELECT id, function_id, status, output, error_message, created_at, started_at, completed_at
        FROM executions
        WHERE function_id >= :function_id AND function_id <= :function_id
          AND (:cursor::uuid IS NULL OR id < :cursor::uuid)
          AND (:status::text IS NULL OR status = :status::text)
        ORDER BY function_id, id DESC
        LIMIT :limit::bigint + 1
    ) AS candidates
    WINDOW newest AS (ORDER BY id DESC)
) AS measured
WHERE position <= :limit::bigint AND bytes_before < :budget::bigint
ORDER BY id DESC;

-- name: beat(id)!
-- "I am alive", as a number that only grows: nobody compares clocks.
INSERT INTO processes (id, beat) VALUES (:id, 1)
ON CONFLICT (id) DO UPDATE SET beat = processes.beat + 1;

-- name: list_processes()
-- Every process that beats, and every one that has executions RUNNING but no beat (-1).
SELECT id, beat FROM processes
UNION ALL
SELECT DISTINCT process_id, -1::bigint
FROM executions
WHERE status = 'RUNNING' AND NOT EXISTS (SELECT FROM processes WHERE processes.id = executions.process_id);

-- name: close_interrupted(process_id, beat)
-- For processes whose beat has stopped. The beat is checked again: one that came back in between is left alone.
WITH dead AS (
    DELETE FROM processes
    WHERE id = :process_id AND beat = :beat
    RETURNING id
)
UPDATE executions
SET status = 'FAILED', error_message = 'interrupted', completed_at = clock_timestamp()
WHERE status = 'RUNNING' AND process_id = :process_id
  AND (:beat = -1 OR EXISTS (SELECT FROM dead))
RETURNING id, function_id;

-- name: leave(id)!
-- A clean end: nothing of this process runs any more.
DELETE FROM processes WHERE id = :id;
