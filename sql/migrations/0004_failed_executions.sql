-- A function's failures, newest first: the few among the many that an operator asks for. Costs nothing where nothing fails.
CREATE INDEX executions_failed ON executions (function_id, id DESC) WHERE status = 'FAILED';
