-- Secrets: values that operators set and functions name.

-- The value is sealed under a key that the database does not have; key_id says which one. The seal holds for this name
-- with these hosts and functions only, so that a change of one of them here makes it invalid.
CREATE TABLE secrets (
    name       text PRIMARY KEY CHECK (name ~ '^[A-Za-z_][A-Za-z0-9_]{0,63}$'),
    sealed     bytea NOT NULL,
    key_id     text NOT NULL CHECK (key_id ~ '^[0-9a-f]{16}$'),
    hosts      text[] CHECK (cardinality(hosts) >= 1),
    functions  text[] NOT NULL DEFAULT '{}',
    created_by text,
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    updated_by text,
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
COMMENT ON COLUMN secrets.hosts IS 'the origins that the value is sent to, outside of the guest; NULL is the guest itself';
COMMENT ON COLUMN secrets.functions IS 'patterns of the functions that may name the secret';

-- All that secrets may know of functions: which kept revisions name which secrets.
CREATE VIEW revision_secrets AS
SELECT functions.name AS function_name, revisions.number AS revision, named.secret
FROM revisions
JOIN functions ON functions.id = revisions.function_id,
LATERAL json_array_elements_text(revisions.settings -> 'secrets') AS named (secret);
