-- name: insert_function(function_id, name, description)!
-- The unique constraint decides between concurrent creations of the same name. Its first revision is inserted in the same
-- transaction.
INSERT INTO functions (id, name, description, newest_revision)
VALUES (:function_id, :name, :description, 1);

-- name: find_function(function_id, name, like)$
-- :like has the names that the caller may reach, NULL for all.
SELECT id
FROM functions
WHERE (id = :function_id::uuid OR name = :name::text)
  AND (:like::text[] IS NULL OR name LIKE ANY (:like::text[]));

-- name: get_function(function_id, name, like, revision)^
-- What is shown of a function is the revision asked for, else the live one, else the newest. :like as in find_function.
SELECT function.id, name, description, shown.language, shown.source, shown.settings, shown.status, shown.compile_error,
       shown.number AS revision, shown.contract, newest.number AS latest_revision, newest.status AS latest_status,
       newest.compile_error AS latest_compile_error, newest.created_at AS latest_created_at,
       function.live_revision, function.created_at, function.updated_at
FROM functions AS function
JOIN revisions AS newest ON newest.function_id = function.id AND newest.number = newest_revision
JOIN revisions AS shown
  ON shown.function_id = function.id AND shown.number = coalesce(:revision::int, live_revision, newest_revision)
WHERE (function.id = :function_id::uuid OR name = :name::text)
  AND (:like::text[] IS NULL OR name LIKE ANY (:like::text[]));

-- name: list_functions(cursor, status, language, like, limit)
-- Newest first; ids are UUIDv7. Sources are not read.
SELECT function.id, name, description, shown.language, shown.settings, shown.status, shown.compile_error,
       shown.number AS revision, shown.contract, newest.number AS latest_revision, newest.status AS latest_status,
       newest.compile_error AS latest_compile_error, newest.created_at AS latest_created_at,
       function.live_revision, function.created_at, function.updated_at
FROM functions AS function
JOIN revisions AS newest ON newest.function_id = function.id AND newest.number = newest_revision
JOIN revisions AS shown
  ON shown.function_id = function.id AND shown.number = coalesce(live_revision, newest_revision)
WHERE (:cursor::uuid IS NULL OR function.id < :cursor::uuid)
  AND (:status::text IS NULL OR shown.status = :status::text)
  AND (:language::text IS NULL OR shown.language = :language::text)
  AND (:like::text[] IS NULL OR name LIKE ANY (:like::text[]))
ORDER BY function.id DESC
LIMIT :limit;

-- name: lock_function(function_id, name, like)^
-- Held until the transaction ends: deploys, results, promotions and rollbacks of one function are made one after another.
-- The conditions are checked again after a wait: a function that was renamed during it is found by its id if its new name
-- fits :like, and not by its old name any more. :like as in find_function.
SELECT id, name, description, live_revision, first_revision, newest_revision, previous_revisions
FROM functions
WHERE (id = :function_id::uuid OR name = :name::text)
  AND (:like::text[] IS NULL OR name LIKE ANY (:like::text[]))
FOR UPDATE;

-- name: update_metadata(name, description, function_id)!
UPDATE functions
SET name = :name, description = :description, updated_at = clock_timestamp()
WHERE id = :function_id;

-- name: advance_newest(function_id)$
-- Takes the number of the next revision. Numbers are not used again, even when their revision is removed.
UPDATE functions
SET newest_revision = newest_revision + 1, updated_at = clock_timestamp()
WHERE id = :function_id
RETURNING newest_revision;

-- name: set_live(revision, previous_revisions, function_id)!
UPDATE functions
SET live_revision = :revision, previous_revisions = :previous_revisions::int[], updated_at = clock_timestamp()
WHERE id = :function_id;

-- name: delete_function(function_id)$
-- The foreign key deletes its revisions. Its executions no longer exist for clients; retention deletes their rows, so
-- that the deletion takes as long however many there are.
WITH deleted AS (
    DELETE FROM functions WHERE id = :function_id RETURNING id
)
INSERT INTO deleted_functions (function_id)
SELECT id FROM deleted
RETURNING function_id;

-- name: insert_revision(function_id, number, language, source, settings, promote, created_by)!
INSERT INTO revisions (function_id, number, language, source, settings, promote, created_by)
VALUES (:function_id, :number, :language, :source, :settings::json, :promote, :created_by::text);

-- name: insert_ready_revision(function_id, number, settings, promote, created_by, model)$
-- A revision with the source of the READY revision :model needs no compilation: it has the same module.
INSERT INTO revisions (function_id, number, language, source, settings, promote, created_by, status, module_digest, contract)
SELECT function_id, :number, language, source, :settings::json, :promote, :created_by::text, status, module_digest, contract
FROM revisions
WHERE function_id = :function_id AND number = :model AND status = 'READY'
RETURNING number;

-- name: get_revision(function_id, number)^
SELECT function_id, revision.number AS revision, language, source, settings, status, compile_error, contract, promote,
       revision.number = function.live_revision IS TRUE AS live, upgrade_error, created_by, revision.created_at
FROM revisions AS revision JOIN functions AS function ON function.id = revision.function_id
WHERE revision.function_id = :function_id AND revision.number = :number;

-- name: get_revision_status(function_id, number)$
SELECT status FROM revisions WHERE function_id = :function_id AND number = :number;

-- name: list_revisions(function_id, before, limit, budget)
-- Newest first. A page ends early when its sources together exceed :budget bytes. `found` counts up to :limit + 1
-- revisions, so that the caller knows whether more follow.
SELECT function_id, revision, language, source, settings, status, compile_error, contract, promote, live, upgrade_error,
       created_by, created_at, found
FROM (
    SELECT *, count(*) OVER () AS found, row_number() OVER newest AS position,
           sum(octet_length(source)) OVER newest - octet_length(source) AS bytes_before
    FROM (
        SELECT revision.function_id, revision.number AS revision, language, source, settings, status, compile_error,
               contract, promote, revision.number = function.live_revision IS TRUE AS live, upgrade_error, created_by,
               revision.created_at
        FROM revisions AS revision JOIN functions AS function ON function.id = revision.function_id
        WHERE revision.function_id = :function_id AND (:before::int IS NULL OR revision.number < :before::int)
        ORDER BY revision.number DESC
        LIMIT :limit::bigint + 1
    ) AS candidates
    WINDOW newest AS (ORDER BY revision DESC)
) AS measured
WHERE position <= :limit::bigint AND bytes_before < :budget::bigint
ORDER BY revision DESC;

-- name: cancel_promotions(function_id)!
-- A decision about what is live cancels the automatic promotion of every revision that waits for its result.
UPDATE revisions SET promote = false
WHERE function_id = :function_id AND status IN ('PENDING', 'COMPILING') AND promote;

-- name: find_waiting(function_id)$
-- The newest revision that waits for a result.
SELECT max(number) FROM revisions WHERE function_id = :function_id AND status IN ('PENDING', 'COMPILING');

-- name: find_language(function_id, number)$
-- Of the newest revision where no number is given. A revision never changes its language, so no lock is needed.
SELECT language
FROM revisions
WHERE function_id = :function_id
  AND number = coalesce(:number::int, (SELECT newest_revision FROM functions WHERE id = :function_id));

-- name: mark_compiling(function_id, number)$
-- Idempotent. Only from PENDING: a `started` message that is read after its result changes nothing.
UPDATE revisions SET status = 'COMPILING'
WHERE function_id = :function_id AND number = :number AND status = 'PENDING'
RETURNING number;

-- name: mark_ready(module_digest, contract, function_id, number)$
-- Idempotent. Only while the revision waits: a duplicate or late result changes nothing. Returns whether it is promoted.
UPDATE revisions SET status = 'READY', module_digest = :module_digest, contract = :contract
WHERE function_id = :function_id AND number = :number AND status IN ('PENDING', 'COMPILING')
RETURNING promote;

-- name: mark_failed(compile_error, function_id, number)$
-- Guarded in the same way as mark_ready.
UPDATE revisions SET status = 'FAILED', compile_error = :compile_error
WHERE function_id = :function_id AND number = :number AND status IN ('PENDING', 'COMPILING')
RETURNING number;

-- name: store_module(module_digest, module, engine)!
-- Locks a module that there is, so that one that is about to be removed is either kept or stored again.
WITH stored AS (
    SELECT digest FROM modules WHERE digest = :module_digest FOR KEY SHARE
), unmarked AS (
    DELETE FROM unreferenced_modules WHERE digest = :module_digest
)
INSERT INTO modules (digest, wasm, engine)
SELECT :module_digest::bytea, :module::bytea, :engine::bytea WHERE NOT EXISTS (SELECT FROM stored)
ON CONFLICT DO NOTHING;

-- name: touch_function(function_id)!
UPDATE functions SET updated_at = clock_timestamp() WHERE id = :function_id;

-- name: delete_excess_revisions(function_id, keep)
-- Removes what exceeds :keep revisions: failed ones first, then those to which no rollback leads, then the oldest. The
-- live and the newest one, those that wait for their result and those that an execution in flight runs are kept.
WITH removable AS (
    SELECT revision.number,
           row_number() OVER (
               ORDER BY revision.status <> 'FAILED', revision.number = ANY (function.previous_revisions), revision.number
           ) AS position
    FROM revisions AS revision JOIN functions AS function ON function.id = revision.function_id
    WHERE revision.function_id = :function_id
      AND revision.number IS DISTINCT FROM function.live_revision AND revision.number <> function.newest_revision
      AND revision.status NOT IN ('PENDING', 'COMPILING')
      AND NOT EXISTS (
          SELECT FROM revisions_in_flight AS running
          WHERE running.function_id = revision.function_id AND running.revision = revision.number
      )
)
DELETE FROM revisions USING removable
WHERE revisions.function_id = :function_id AND revisions.number = removable.number
  AND removable.position <= (SELECT count(*) FROM revisions WHERE function_id = :function_id) - :keep::bigint
RETURNING revisions.number;

-- name: list_outdated_images(engine, languages, limit)
-- READY revisions whose image is one of an older engine than :engine, which has not failed to take it: the live ones
-- first. Their sources are not read.
SELECT revision.function_id, revision.number
FROM engines AS newer
JOIN engines AS older ON older.name = newer.name AND older.number < newer.number
JOIN modules AS image ON image.engine = older.digest
JOIN revisions AS revision ON revision.module_digest = image.digest
JOIN functions AS function ON function.id = revision.function_id
WHERE newer.digest = :engine AND revision.language = ANY (:languages::text[])
  AND revision.upgrade_engine IS DISTINCT FROM newer.digest
ORDER BY revision.number IS DISTINCT FROM function.live_revision, revision.function_id DESC, revision.number DESC
LIMIT :limit::bigint;

-- name: get_image_source(function_id, number)^
SELECT language, source, settings, digest AS module_digest, contract
FROM revisions JOIN modules ON digest = module_digest
WHERE function_id = :function_id AND number = :number;

-- name: replace_image(function_id, number, present, module_digest)$
-- Idempotent. Only the image that :present is: another process may have replaced it in the meantime, or the revision may
-- be gone. The trigger outcome_is_final refuses everything but an image of a newer engine.
UPDATE revisions SET module_digest = :module_digest, upgrade_engine = NULL, upgrade_error = NULL
WHERE function_id = :function_id AND number = :number AND module_digest = :present
RETURNING number;

-- name: record_upgrade_error(function_id, number, present, engine, error)$
-- Guarded in the same way. The revision keeps its image; the engine does not try again.
UPDATE revisions SET upgrade_engine = :engine, upgrade_error = :error
WHERE function_id = :function_id AND number = :number AND module_digest = :present
RETURNING number;

-- name: mark_unreferenced_modules()!
-- A module without revisions, and without images of it, is removed later (delete_unreferenced_modules): an execution that
-- has started may load it.
INSERT INTO unreferenced_modules (digest)
SELECT digest FROM modules AS module
WHERE NOT EXISTS (SELECT FROM revisions WHERE module_digest = module.digest)
  AND NOT EXISTS (SELECT FROM modules AS image WHERE image.engine = module.digest)
ON CONFLICT DO NOTHING;

-- name: unmark_referenced_modules()!
-- A mark that was set while a revision was being committed would otherwise leave its module without a grace period.
DELETE FROM unreferenced_modules AS unreferenced
WHERE EXISTS (SELECT FROM revisions WHERE module_digest = unreferenced.digest)
   OR EXISTS (SELECT FROM modules AS image WHERE image.engine = unreferenced.digest);

-- name: delete_unreferenced_modules(grace_seconds, limit)$
-- The foreign keys refuse to remove a module that a revision or an image has referred to in the meantime.
WITH removed AS (
    DELETE FROM modules
    WHERE digest IN (
        SELECT digest FROM unreferenced_modules AS unreferenced
        WHERE since < clock_timestamp() - make_interval(secs => :grace_seconds::float8)
          AND NOT EXISTS (SELECT FROM revisions WHERE module_digest = unreferenced.digest)
          AND NOT EXISTS (SELECT FROM modules AS image WHERE image.engine = unreferenced.digest)
        LIMIT :limit::bigint
    )
    RETURNING digest
)
SELECT count(*) FROM removed;
