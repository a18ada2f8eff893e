-- Executions in partitions by time: ids are UUIDv7, so a range of ids is a range of times. The table that exists becomes
-- the first partition: no row is copied, but each is read once, to check the changed constraints.
ALTER TABLE executions RENAME TO executions_first;
ALTER INDEX executions_pkey RENAME TO executions_first_pkey;
ALTER INDEX executions_by_function RENAME TO executions_first_by_function;
ALTER INDEX executions_running RENAME TO executions_first_running;
ALTER INDEX executions_failed RENAME TO executions_first_failed;

-- The payload of an execution is its input, output and logs. It may be cleared before the row is dropped.
CREATE TABLE executions (LIKE executions_first INCLUDING DEFAULTS INCLUDING STORAGE) PARTITION BY RANGE (id);
ALTER TABLE executions
    ADD COLUMN payloads_expired boolean NOT NULL DEFAULT false,
    ALTER COLUMN input DROP NOT NULL,
    ADD PRIMARY KEY (id),
    ADD CONSTRAINT executions_status_check CHECK (status IN ('RUNNING', 'COMPLETED', 'FAILED')),
    ADD CONSTRAINT input_unless_expired CHECK ((input IS NULL) = payloads_expired),
    ADD CONSTRAINT expired_has_no_payload
        CHECK (NOT payloads_expired OR (output IS NULL AND logs IS NULL AND status <> 'RUNNING')),
    ADD CONSTRAINT completed_has_no_error
        CHECK (status <> 'COMPLETED' OR (error_message IS NULL AND (output IS NOT NULL OR payloads_expired))),
    ADD CONSTRAINT failed_has_an_error CHECK (status <> 'FAILED' OR (error_message IS NOT NULL AND output IS NULL)),
    ADD CONSTRAINT ended_has_an_end CHECK ((status = 'RUNNING') = (completed_at IS NULL));
CREATE INDEX executions_by_function ON executions (function_id, id DESC);
CREATE INDEX executions_running ON executions (process_id) WHERE status = 'RUNNING';
CREATE INDEX executions_failed ON executions (function_id, id DESC) WHERE status = 'FAILED';

-- For ids for which there is no partition: of a process whose clock is wrong, or of a time whose partition was dropped.
CREATE TABLE executions_default PARTITION OF executions DEFAULT;

-- The view follows the renamed table otherwise.
CREATE OR REPLACE VIEW revisions_in_flight AS SELECT DISTINCT function_id, revision FROM executions WHERE status = 'RUNNING';

-- Functions that were deleted and whose executions are still to be deleted, in batches.
CREATE TABLE deleted_functions (
    function_id uuid PRIMARY KEY,
    deleted_at  timestamptz NOT NULL DEFAULT clock_timestamp(),
    cleaned_at  timestamptz
);

-- What retention has to remember. keeps_all: the database held executions before this version, since when.
-- payloads_cleared: executions before this id have no payload. checked: the last run. paused: nothing goes before then.
CREATE TABLE retention_marks (
    name text PRIMARY KEY CHECK (name IN ('keeps_all', 'payloads_cleared', 'checked', 'paused')),
    id   uuid,
    at   timestamptz
);
INSERT INTO retention_marks (name, at) SELECT 'keeps_all', clock_timestamp() WHERE EXISTS (SELECT FROM executions_first);

-- Add a partition for the ids from `lower` to before `upper`, with those rows of executions_default that belong to it;
-- return how many. New rows of executions_default wait until the transaction ends.
CREATE FUNCTION create_executions_partition(name text, lower uuid, upper uuid) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    moved bigint;
BEGIN
    LOCK TABLE ONLY executions IN SHARE UPDATE EXCLUSIVE MODE;
    EXECUTE format('CREATE TABLE %I (LIKE executions INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE)', name);
    LOCK TABLE executions_default IN ACCESS EXCLUSIVE MODE;
    EXECUTE format(
        'WITH moved AS (DELETE FROM executions_default WHERE id >= %L AND id < %L RETURNING *)
         INSERT INTO %I SELECT * FROM moved', lower, upper, name);
    GET DIAGNOSTICS moved = ROW_COUNT;
    EXECUTE format('ALTER TABLE executions ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', name, lower, upper);
    RETURN moved;
END;
$$;

-- Refuse new rows from `lower` to before `upper` in executions_default, with a constraint that spares ATTACH PARTITION from
-- reading its rows under the lock, once it is validated. There is one at a time, until a partition has the range.
CREATE PROCEDURE exclude_from_executions_default(lower uuid, upper uuid) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('ALTER TABLE executions_default ADD CONSTRAINT of_next_partition CHECK (id < %L OR id >= %L) NOT VALID',
                   lower, upper);
END;
$$;
CREATE PROCEDURE readmit_to_executions_default() LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM pg_constraint
               WHERE conrelid = 'executions_default'::regclass AND conname = 'of_next_partition') THEN
        ALTER TABLE executions_default DROP CONSTRAINT of_next_partition;
    END IF;
END;
$$;

-- Drop a partition, unless an execution in it is RUNNING, and return whether it was dropped. The table is locked first:
-- every statement locks it before its partitions, so the order excludes deadlocks.
CREATE FUNCTION drop_executions_partition(name text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    running boolean;
BEGIN
    LOCK TABLE ONLY executions IN ACCESS EXCLUSIVE MODE;
    EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE status = ''RUNNING'')', name) INTO running;
    IF NOT running THEN
        EXECUTE format('DROP TABLE %I', name);
    END IF;
    RETURN NOT running;
END;
$$;

-- The first partition ends one to two hours from now. Rows with later ids, of a wrong clock, go to executions_default.
DO $$
DECLARE
    hour  timestamptz := date_trunc('hour', clock_timestamp()) + interval '2 hours';
    upper uuid := rpad(lpad(to_hex((extract(epoch FROM hour) * 1000)::bigint), 12, '0'), 32, '0')::uuid;
    later CONSTANT text := format('id >= %L', upper);
BEGIN
    ALTER TABLE executions_first
        ADD COLUMN payloads_expired boolean NOT NULL DEFAULT false,
        ALTER COLUMN input DROP NOT NULL;
    EXECUTE format(
        'WITH moved AS (DELETE FROM executions_first WHERE %s RETURNING *) INSERT INTO executions_default
         SELECT * FROM moved', later);
    -- One ALTER TABLE, so that the rows are read once; the last constraint spares ATTACH PARTITION from reading them again.
    EXECUTE format(
        'ALTER TABLE executions_first
             DROP CONSTRAINT completed_has_no_error,
             ADD CONSTRAINT input_unless_expired CHECK ((input IS NULL) = payloads_expired),
             ADD CONSTRAINT expired_has_no_payload
                 CHECK (NOT payloads_expired OR (output IS NULL AND logs IS NULL AND status <> ''RUNNING'')),
             ADD CONSTRAINT completed_has_no_error CHECK (status <> ''COMPLETED''
                 OR (error_message IS NULL AND (output IS NOT NULL OR payloads_expired))),
             ADD CONSTRAINT of_first_partition CHECK (NOT (%s))', later);
    EXECUTE format('ALTER TABLE executions ATTACH PARTITION executions_first FOR VALUES FROM (MINVALUE) TO (%L)', upper);
    ALTER TABLE executions_first DROP CONSTRAINT of_first_partition;
END;
$$;
