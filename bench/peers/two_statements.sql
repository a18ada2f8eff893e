-- The two statements of one execution, for pgbench. Without BEGIN, each is its own transaction.
INSERT INTO bench.executions (id, function_id, revision, process_id, input, created_at, started_at)
VALUES (uuidv7(), :function_id, 1, :function_id, '{"a":1,"b":2}', now(), now())
RETURNING id AS execution_id \gset
UPDATE bench.executions SET status = 'COMPLETED', output = '{"sum":3}', logs = NULL, completed_at = now()
WHERE id = :execution_id AND status = 'RUNNING';
