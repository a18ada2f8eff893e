-- Revisions: what a deploy makes. A function keeps serving its live revision while the next one is compiled.

-- The engine modules that images were taken with, in the order in which servers have brought them. A later number of the
-- same name is a newer engine. Rows stay when the binary of an engine is removed, so that the order does not change.
CREATE TABLE engines (
    digest bytea PRIMARY KEY,
    name   text NOT NULL,
    number integer NOT NULL UNIQUE CHECK (number >= 1)
);

-- Compiled modules, stored once however many revisions have them: modules of functions, and engine modules. Of an image,
-- `engine` is the engine that it needs, which therefore is stored for as long as the image. wasm does not compress well;
-- as EXTERNAL a module is read without being inflated.
CREATE TABLE modules (
    digest bytea PRIMARY KEY,
    wasm   bytea NOT NULL,
    engine bytea REFERENCES modules (digest),
    CONSTRAINT digest_is_sha256 CHECK (digest = sha256(wasm)),
    CONSTRAINT engine_is_known FOREIGN KEY (engine) REFERENCES engines (digest)
);
ALTER TABLE modules ALTER COLUMN wasm SET STORAGE EXTERNAL;
CREATE INDEX modules_by_engine ON modules (engine) WHERE engine IS NOT NULL;

-- Modules that no revision refers to, and since when that is known. Not a column of modules: an update of a row would hash
-- the module again.
CREATE TABLE unreferenced_modules (
    digest bytea PRIMARY KEY REFERENCES modules (digest) ON DELETE CASCADE,
    since  timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- A revision never changes but for the progress of its compilation, and its image, which a newer engine replaces (see
-- the trigger outcome_is_final). promote: it goes live when it is READY. upgrade_error: why `upgrade_engine` could not
-- take its image.
CREATE TABLE revisions (
    function_id   uuid NOT NULL REFERENCES functions (id) ON DELETE CASCADE,
    number        integer NOT NULL CHECK (number >= 1),
    language      text NOT NULL,
    source        text NOT NULL,
    settings      json NOT NULL DEFAULT '{}',
    limits        json GENERATED ALWAYS AS (settings -> 'limits') STORED,
    promote       boolean NOT NULL DEFAULT true,
    status        text NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'COMPILING', 'READY', 'FAILED')),
    module_digest bytea REFERENCES modules (digest),
    contract      text,
    compile_error text,
    upgrade_engine bytea REFERENCES engines (digest),
    upgrade_error  text,
    created_by    text,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (function_id, number),
    UNIQUE (function_id, number, status),
    CONSTRAINT ready_has_a_module
        CHECK (status <> 'READY' OR (module_digest IS NOT NULL AND contract IS NOT NULL AND compile_error IS NULL)),
    CONSTRAINT failed_has_an_error
        CHECK (status <> 'FAILED' OR (compile_error IS NOT NULL AND module_digest IS NULL AND contract IS NULL)),
    CONSTRAINT upgrade_failed_completely CHECK ((upgrade_engine IS NULL) = (upgrade_error IS NULL)),
    CONSTRAINT waiting_has_neither
        CHECK (status NOT IN ('PENDING', 'COMPILING')
               OR (module_digest IS NULL AND contract IS NULL AND compile_error IS NULL))
);
CREATE INDEX revisions_by_module ON revisions (module_digest) WHERE module_digest IS NOT NULL;

CREATE FUNCTION refuse_change_of_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'revision % of function % cannot change: %', old.number, old.function_id,
        CASE WHEN old.status IN ('READY', 'FAILED') THEN 'it is ' || old.status ELSE 'its content is fixed' END
        USING ERRCODE = 'integrity_constraint_violation';
END;
$$;
CREATE TRIGGER content_is_fixed
    BEFORE UPDATE OF function_id, number, language, source, settings, created_by, created_at ON revisions
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_revision();
-- The outcome is final, but for one change: the image of a READY revision is replaced by one of a newer engine.
CREATE FUNCTION is_newer_image(present bytea, next bytea) RETURNS boolean LANGUAGE sql STABLE AS $$
    SELECT EXISTS (
        SELECT FROM modules AS old_image JOIN engines AS old_engine ON old_engine.digest = old_image.engine,
                    modules AS new_image JOIN engines AS new_engine ON new_engine.digest = new_image.engine
        WHERE old_image.digest = present AND new_image.digest = next
          AND new_engine.name = old_engine.name AND new_engine.number > old_engine.number
    );
$$;
CREATE TRIGGER outcome_is_final BEFORE UPDATE OF status, module_digest, contract, compile_error ON revisions
    FOR EACH ROW
    WHEN (old.status IN ('READY', 'FAILED')
          AND ((new.status, new.contract, new.compile_error) IS DISTINCT FROM
               (old.status, old.contract, old.compile_error)
               OR NOT is_newer_image(old.module_digest, new.module_digest)))
    EXECUTE FUNCTION refuse_change_of_revision();

-- What there was becomes the only revision of each function, with the number that it had.
INSERT INTO modules (digest, wasm)
SELECT DISTINCT ON (wasm_digest) wasm_digest, wasm_binary FROM functions WHERE wasm_binary IS NOT NULL;
INSERT INTO revisions (function_id, number, language, source, status, module_digest, contract, compile_error, created_at)
SELECT id, revision, language, source, status, wasm_digest, CASE WHEN wasm_digest IS NOT NULL THEN 'json' END,
       compile_error, updated_at
FROM functions;

DROP VIEW executable_functions;
ALTER TABLE functions RENAME COLUMN revision TO newest_revision;
ALTER TABLE functions
    ADD COLUMN first_revision integer NOT NULL DEFAULT 1,
    ADD COLUMN live_revision integer,
    ADD COLUMN live_status text GENERATED ALWAYS AS (CASE WHEN live_revision IS NOT NULL THEN 'READY' END) STORED,
    ADD COLUMN previous_revisions integer[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN functions.previous_revisions IS 'the revisions to roll back to; the last one is the next';
COMMENT ON COLUMN functions.first_revision IS 'above 1 where the function is older than revisions';
UPDATE functions
SET first_revision = newest_revision, live_revision = CASE WHEN status = 'READY' THEN newest_revision END;
ALTER TABLE functions
    DROP COLUMN language, DROP COLUMN source, DROP COLUMN status, DROP COLUMN wasm_digest, DROP COLUMN wasm_binary,
    DROP COLUMN compile_error,
    ADD CONSTRAINT newest_revision_exists FOREIGN KEY (id, newest_revision) REFERENCES revisions (function_id, number)
        DEFERRABLE INITIALLY DEFERRED,
    -- live_status is READY, so a revision that is not READY cannot be live.
    ADD CONSTRAINT live_revision_is_ready FOREIGN KEY (id, live_revision, live_status)
        REFERENCES revisions (function_id, number, status) DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT live_revision_is_not_ahead CHECK (live_revision <= newest_revision);

CREATE FUNCTION refuse_lower_revision() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the numbers of revisions only increase: % is not above %', new.newest_revision, old.newest_revision
        USING ERRCODE = 'integrity_constraint_violation';
END;
$$;
CREATE TRIGGER newest_revision_increases BEFORE UPDATE OF newest_revision ON functions
    FOR EACH ROW WHEN (new.newest_revision <= old.newest_revision) EXECUTE FUNCTION refuse_lower_revision();

-- Executions outlive the check of their function: a foreign key would lock its row for each of them, and would lock
-- functions whenever executions are removed as a whole.
ALTER TABLE executions DROP CONSTRAINT executions_function_id_fkey;

-- All that executions may know of functions. `revision` is the one that an unnumbered reference runs, if it is READY.
CREATE VIEW executable_functions AS
SELECT id, name, coalesce(live_revision, newest_revision) AS revision, live_revision FROM functions;
CREATE VIEW executable_revisions AS
SELECT function_id, number, status, compile_error, module_digest, limits FROM revisions;
CREATE VIEW executable_modules AS SELECT digest, wasm FROM modules;

-- All that functions may know of executions.
CREATE VIEW revisions_in_flight AS SELECT DISTINCT function_id, revision FROM executions WHERE status = 'RUNNING';
