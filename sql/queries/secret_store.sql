-- name: lock_secrets()!
-- Of two processes without a key that set the first secret, the second one finds the key that the first one sealed it
-- under, and makes no other. Reads and deploys go on.
LOCK TABLE secrets IN SHARE ROW EXCLUSIVE MODE;

-- name: list_keys()
SELECT key_id, count(*) AS secrets FROM secrets GROUP BY key_id ORDER BY key_id;

-- name: put_secret(name, sealed, key_id, hosts, functions, caller)^
INSERT INTO secrets (name, sealed, key_id, hosts, functions, created_by, updated_by)
VALUES (:name, :sealed, :key_id, :hosts::text[], :functions::text[], :caller::text, :caller::text)
ON CONFLICT (name) DO UPDATE
SET sealed = excluded.sealed, key_id = excluded.key_id, hosts = excluded.hosts, functions = excluded.functions,
    updated_by = excluded.updated_by, updated_at = clock_timestamp()
RETURNING name, key_id, hosts, functions, created_by, created_at, updated_by, updated_at;

-- name: find_secret(name)^
SELECT name, key_id, hosts, functions, created_by, created_at, updated_by, updated_at FROM secrets WHERE name = :name;

-- name: list_secrets(cursor, limit)
SELECT name, key_id, hosts, functions, created_by, created_at, updated_by, updated_at
FROM secrets
WHERE :cursor::text IS NULL OR name > :cursor::text
ORDER BY name
LIMIT :limit;

-- name: lock_secret(name)$
-- Waits for deploys that hold `lock_named`; a statement after this one sees their revisions.
SELECT name FROM secrets WHERE name = :name FOR UPDATE;

-- name: find_use(name)^
SELECT function_name, revision, count(*) OVER () AS uses
FROM revision_secrets
WHERE secret = :name
ORDER BY function_name, revision
LIMIT 1;

-- name: delete_secret(name)!
DELETE FROM secrets WHERE name = :name;

-- name: lock_named(names)
-- FOR KEY SHARE: deploys do not wait for each other, nor for a new value; a deletion waits for them, and they for it.
SELECT name, functions FROM secrets WHERE name = ANY (:names::text[]) FOR KEY SHARE;

-- name: list_sealed(names)
SELECT name, sealed, key_id, hosts, functions FROM secrets WHERE name = ANY (:names::text[]);
