-- The two queues between functions and compile.
SELECT pgmq.create('compilation_jobs');
SELECT pgmq.create('compilation_results');

-- Wake the consumers. Same channel names as pgmq's own enable_notify_insert, but without its throttle and the unlogged
-- table that holds it: that table is empty after a crash, and the notifications are then silently off.
CREATE FUNCTION notify_queue_consumers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('pgmq.' || TG_TABLE_NAME || '.INSERT', NULL);
    RETURN NULL;
END;
$$;

CREATE TRIGGER notify_consumers AFTER INSERT ON pgmq.q_compilation_jobs
    FOR EACH STATEMENT EXECUTE FUNCTION notify_queue_consumers();
CREATE TRIGGER notify_consumers AFTER INSERT ON pgmq.q_compilation_results
    FOR EACH STATEMENT EXECUTE FUNCTION notify_queue_consumers();

-- Archive a message that was given up, with why: the reason stands in the archived row's headers.
CREATE FUNCTION archive_rejected(queue text, message_id bigint, reason text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'UPDATE pgmq.%I SET headers = coalesce(headers, ''{}'') || jsonb_build_object(''rejected'', $2) WHERE msg_id = $1',
        'q_' || queue
    ) USING message_id, reason;
    RETURN pgmq.archive(queue, message_id);
END;
$$;
