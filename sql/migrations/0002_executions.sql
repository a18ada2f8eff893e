-- Every execution. input and output are json, not jsonb: they are kept exactly as they were sent.
CREATE TABLE executions (
    id            uuid PRIMARY KEY,
    function_id   uuid NOT NULL REFERENCES functions (id) ON DELETE CASCADE,
    revision      integer NOT NULL,
    process_id    uuid NOT NULL,
    status        text NOT NULL DEFAULT 'RUNNING' CHECK (status IN ('RUNNING', 'COMPLETED', 'FAILED')),
    input         json NOT NULL,
    output        json,
    error_message text,
    logs          text,
    created_at    timestamptz NOT NULL,
    started_at    timestamptz NOT NULL,
    completed_at  timestamptz,
    CONSTRAINT completed_has_no_error CHECK (status <> 'COMPLETED' OR (error_message IS NULL AND output IS NOT NULL)),
    CONSTRAINT failed_has_an_error CHECK (status <> 'FAILED' OR (error_message IS NOT NULL AND output IS NULL)),
    CONSTRAINT ended_has_an_end CHECK ((status = 'RUNNING') = (completed_at IS NULL))
);

-- Not compressed: their size is then known without reading them (a list's page has a budget), and writing is cheaper.
ALTER TABLE executions ALTER COLUMN input SET STORAGE EXTERNAL, ALTER COLUMN output SET STORAGE EXTERNAL;

-- A function's history, newest first: ids are UUIDv7, so their order is the order of time.
CREATE INDEX executions_by_function ON executions (function_id, id DESC);

-- What recovery looks for; holds only what runs now.
CREATE INDEX executions_running ON executions (process_id) WHERE status = 'RUNNING';

-- The processes that run executions, and when each was last heard of.
CREATE TABLE processes (
    id         uuid PRIMARY KEY,
    started_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    beat       bigint NOT NULL DEFAULT 0
);
