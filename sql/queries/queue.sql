-- name: send(queue, message, headers)$
-- The headers are for people who follow a request through the log; whoever else speaks the queues may leave them out.
SELECT pgmq.send(:queue, :message::jsonb, :headers::jsonb);

-- name: read(queue, visibility, limit)
-- Up to :limit messages, hidden from other readers for :visibility seconds. SKIP LOCKED inside: readers share the work.
SELECT msg_id, read_ct, enqueued_at, message::text AS message, left(headers ->> 'requestId', 128) AS request_id
FROM pgmq.read(:queue, :visibility::integer, :limit::integer);

-- name: set_visibility(queue, msg_id, visibility)$
-- Hidden for :visibility seconds from now; 0 gives the message back.
SELECT count(*) FROM pgmq.set_vt(:queue, :msg_id::bigint, :visibility::integer);

-- name: archive(queue, msg_id)$
-- False when another reader archived it first.
SELECT pgmq.archive(:queue, :msg_id::bigint);

-- name: measure(queues)
-- How many messages wait, and for how long the oldest has.
SELECT queue_name, queue_length, coalesce(oldest_msg_age_sec, 0) AS oldest_seconds
FROM unnest(:queues::text[]) AS wanted, LATERAL pgmq.metrics(wanted);

-- name: archive_rejected(queue, msg_id, reason)$
-- With its reason, in the same transaction as what follows from it.
SELECT archive_rejected(:queue, :msg_id::bigint, :reason);
