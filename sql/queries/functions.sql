-- name: insert_function(id, name, description, language, source)^
-- The name's uniqueness is the database's to judge: two registrations at once cannot both win.
INSERT INTO functions (id, name, description, language, source)
VALUES (:id, :name, :description, :language, :source)
RETURNING id, name, description, language, source, status, compile_error, revision, created_at, updated_at;

-- name: get_function(id)^
SELECT id, name, description, language, source, status, compile_error, revision, created_at, updated_at
FROM functions
WHERE id = :id;

-- name: get_function_by_name(name)^
SELECT id, name, description, language, source, status, compile_error, revision, created_at, updated_at
FROM functions
WHERE name = :name;

-- name: lock_function(id)^
-- Held until the update below commits: a result that arrives meanwhile waits, then finds the new revision.
SELECT id, name, description, language, source, status, compile_error, revision, created_at, updated_at
FROM functions
WHERE id = :id
FOR UPDATE;

-- name: list_functions(cursor, status, language, limit)
-- Newest first; ids are UUIDv7. Sources and modules stay where they are.
SELECT id, name, description, language, status, compile_error, revision, created_at, updated_at
FROM functions
WHERE (:cursor::uuid IS NULL OR id < :cursor::uuid)
  AND (:status::text IS NULL OR status = :status::text)
  AND (:language::text IS NULL OR language = :language::text)
ORDER BY id DESC
LIMIT :limit;

-- name: describe_function(name, description, id)^
-- A change that the compiler need not see: the status, the module and the revision stay.
UPDATE functions
SET name = :name, description = :description, updated_at = clock_timestamp()
WHERE id = :id
RETURNING id, name, description, language, source, status, compile_error, revision, created_at, updated_at;

-- name: revise_function(name, description, language, source, id)^
-- The old module goes at once: what is READY always runs the source that is shown.
UPDATE functions
SET name = :name, description = :description, language = :language, source = :source,
    status = 'PENDING', wasm_binary = NULL, compile_error = NULL,
    revision = revision + 1, updated_at = clock_timestamp()
WHERE id = :id
RETURNING id, name, description, language, source, status, compile_error, revision, created_at, updated_at;

-- name: delete_function(id)$
-- Its executions go with it (foreign key).
DELETE FROM functions WHERE id = :id RETURNING id;

-- name: mark_compiling(id, revision)$
-- Only from PENDING: a start that is read after its result, or for an older revision, changes nothing.
UPDATE functions
SET status = 'COMPILING', updated_at = clock_timestamp()
WHERE id = :id AND status = 'PENDING' AND (:revision::int IS NULL OR revision = :revision::int)
RETURNING revision;

-- name: mark_ready(wasm_binary, id, revision)$
-- Only a function that waits, and only the revision that was compiled: twice, late or outdated changes nothing.
UPDATE functions
SET status = 'READY', wasm_binary = :wasm_binary, compile_error = NULL, updated_at = clock_timestamp()
WHERE id = :id AND status IN ('PENDING', 'COMPILING') AND (:revision::int IS NULL OR revision = :revision::int)
RETURNING revision;

-- name: mark_failed(compile_error, id, revision)$
-- Guarded as mark_ready is.
UPDATE functions
SET status = 'FAILED', wasm_binary = NULL, compile_error = :compile_error, updated_at = clock_timestamp()
WHERE id = :id AND status IN ('PENDING', 'COMPILING') AND (:revision::int IS NULL OR revision = :revision::int)
RETURNING revision;
