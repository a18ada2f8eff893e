-- name: insert_function(function_id, name, description, language, source)^
-- The unique constraint decides between concurrent creations of the same name.
INSERT INTO functions (id, name, description, language, source)
VALUES (:function_id, :name, :description, :language, :source)
RETURNING id, name, description, language, source, status, compile_error, revision, created_at, updated_at;

-- name: get_function(function_id)^
SELECT id, name, description, language, source, status, compile_error, revision, created_at, updated_at
FROM functions
WHERE id = :function_id;

-- name: get_function_by_name(name)^
SELECT id, name, description, language, source, status, compile_error, revision, created_at, updated_at
FROM functions
WHERE name = :name;

-- name: lock_function(function_id)^
-- Held until the update commits: a compilation result that arrives before then waits, and finds the new revision.
SELECT id, name, description, language, source, status, compile_error, revision, created_at, updated_at
FROM functions
WHERE id = :function_id
FOR UPDATE;

-- name: list_functions(cursor, status, language, limit)
-- Newest first; ids are UUIDv7. Sources and modules are not read.
SELECT id, name, description, language, status, compile_error, revision, created_at, updated_at
FROM functions
WHERE (:cursor::uuid IS NULL OR id < :cursor::uuid)
  AND (:status::text IS NULL OR status = :status::text)
  AND (:language::text IS NULL OR language = :language::text)
ORDER BY id DESC
LIMIT :limit;

-- name: update_metadata(name, description, function_id)^
-- A change that needs no compilation: the status, the module and the revision stay.
UPDATE functions
SET name = :name, description = :description, updated_at = clock_timestamp()
WHERE id = :function_id
RETURNING id, name, description, language, source, status, compile_error, revision, created_at, updated_at;

-- name: start_revision(name, description, language, source, function_id)^
-- The old module is deleted at once, so that a READY function always runs the source that is shown.
UPDATE functions
SET name = :name, description = :description, language = :language, source = :source,
    status = 'PENDING', wasm_binary = NULL, compile_error = NULL,
    revision = revision + 1, updated_at = clock_timestamp()
WHERE id = :function_id
RETURNING id, name, description, language, source, status, compile_error, revision, created_at, updated_at;

-- name: delete_function(function_id)$
-- The foreign key deletes its executions.
DELETE FROM functions WHERE id = :function_id RETURNING id;

-- name: mark_compiling(function_id, revision)$
-- Idempotent. Only from PENDING: a `started` message that is read after its result, or that is for an older revision,
-- changes nothing.
UPDATE functions
SET status = 'COMPILING', updated_at = clock_timestamp()
WHERE id = :function_id AND status = 'PENDING' AND (:revision::int IS NULL OR revision = :revision::int)
RETURNING revision;

-- name: mark_ready(wasm_binary, function_id, revision)$
-- Idempotent. Only while the function waits for this revision: a duplicate, late or outdated result changes nothing.
UPDATE functions
SET status = 'READY', wasm_binary = :wasm_binary, compile_error = NULL, updated_at = clock_timestamp()
WHERE id = :function_id AND status IN ('PENDING', 'COMPILING') AND (:revision::int IS NULL OR revision = :revision::int)
RETURNING revision;

-- name: mark_failed(compile_error, function_id, revision)$
-- Guarded in the same way as mark_ready.
UPDATE functions
SET status = 'FAILED', wasm_binary = NULL, compile_error = :compile_error, updated_at = clock_timestamp()
WHERE id = :function_id AND status IN ('PENDING', 'COMPILING') AND (:revision::int IS NULL OR revision = :revision::int)
RETURNING revision;
