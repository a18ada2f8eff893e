-- name: insert_entry(id, via, token_name, action, subject, function_id, revision)!
INSERT INTO audit (id, via, token_name, action, subject, function_id, revision)
VALUES (:id, :via, :token_name, :action, :subject, :function_id::uuid, :revision::int);

-- name: list_entries(cursor, limit)
-- Newest first; ids are UUIDv7.
SELECT id, at, via, token_name, action, subject, function_id, revision
FROM audit
WHERE :cursor::uuid IS NULL OR id < :cursor::uuid
ORDER BY id DESC
LIMIT :limit;
