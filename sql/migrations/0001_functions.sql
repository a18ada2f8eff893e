-- Functions and their compiled modules. A status and what it promises cannot disagree.
CREATE TABLE functions (
    id            uuid PRIMARY KEY,
    name          text NOT NULL UNIQUE,
    description   text,
    language      text NOT NULL,
    source        text NOT NULL,
    revision      integer NOT NULL DEFAULT 1 CHECK (revision >= 1),
    status        text NOT NULL DEFAULT 'PENDING' CHECK (status IN ('PENDING', 'COMPILING', 'READY', 'FAILED')),
    wasm_binary   bytea,
    wasm_digest   bytea GENERATED ALWAYS AS (sha256(wasm_binary)) STORED,
    compile_error text,
    created_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_at    timestamptz NOT NULL DEFAULT clock_timestamp(),
    CONSTRAINT ready_has_a_binary CHECK (status <> 'READY' OR (wasm_binary IS NOT NULL AND compile_error IS NULL)),
    CONSTRAINT failed_has_an_error CHECK (status <> 'FAILED' OR (compile_error IS NOT NULL AND wasm_binary IS NULL)),
    CONSTRAINT waiting_has_neither
        CHECK (status NOT IN ('PENDING', 'COMPILING') OR (wasm_binary IS NULL AND compile_error IS NULL))
);

-- wasm does not compress well; as EXTERNAL a module is read without being inflated.
ALTER TABLE functions ALTER COLUMN wasm_binary SET STORAGE EXTERNAL;

-- All that other rooms may know of a function.
CREATE VIEW executable_functions AS
SELECT id, name, status, revision, compile_error, wasm_digest, wasm_binary
FROM functions;
