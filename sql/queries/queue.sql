-- name: send_message(queue, message, headers)$
-- The headers hold the request id, which lets an operator follow a request through the logs; other senders may omit
-- them.
SELECT pgmq.send(:queue, :message::jsonb, :headers::jsonb);

-- name: read_messages(queue, visibility_timeout, limit)
-- Hides up to :limit messages from other readers for :visibility_timeout seconds. pgmq.read uses SKIP LOCKED, so that
-- concurrent readers share the queue.
SELECT msg_id, read_ct, enqueued_at, message::text AS message, left(headers ->> 'requestId', 128) AS request_id
FROM pgmq.read(:queue, :visibility_timeout::integer, :limit::integer);

-- name: set_visibility_timeout(queue, msg_id, visibility_timeout)$
-- Hides the message for :visibility_timeout seconds from now; 0 makes it visible at once.
SELECT count(*) FROM pgmq.set_vt(:queue, :msg_id::bigint, :visibility_timeout::integer);

-- name: archive_message(queue, msg_id)$
-- False when another reader archived the message first.
SELECT pgmq.archive(:queue, :msg_id::bigint);

-- name: archive_and_send(queue, msg_id, answers, message, headers)$
-- Archives a message and sends what answers it, in one statement. NULL, and nothing is sent, when another reader
-- archived the message first.
SELECT pgmq.send(:answers, :message::jsonb, :headers::jsonb) FROM pgmq.archive(:queue, :msg_id::bigint) AS archived
WHERE archived;

-- name: measure_queues(queues)
-- The number of messages and the age of the oldest message of each queue.
SELECT queue_name, queue_length, coalesce(oldest_msg_age_sec, 0) AS oldest_seconds
FROM unnest(:queues::text[]) AS wanted, LATERAL pgmq.metrics(wanted);

-- name: archive_dead_letter(queue, msg_id, reason)$
-- Stores :reason in the header `rejected` of the archived row. False when another reader archived the message first.
SELECT archive_rejected(:queue, :msg_id::bigint, :reason);
