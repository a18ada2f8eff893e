-- Access: tokens, and the audit trail of changes.

-- A token is shown once, as faas_<id>_<secret>; what is stored is the SHA-256 of its secret. A row stays after the token
-- is revoked, so that a name in the history always means the same token.
CREATE TABLE tokens (
    id                text PRIMARY KEY CHECK (id ~ '^[a-z2-7]{12}$'),
    name              text NOT NULL UNIQUE CHECK (name ~ '^[A-Za-z][A-Za-z0-9._-]{0,63}$'),
    secret_digest     bytea NOT NULL CHECK (octet_length(secret_digest) = 32),
    scopes            text[] NOT NULL
        CHECK (cardinality(scopes) >= 1 AND scopes <@ ARRAY['read', 'invoke', 'deploy', 'admin']),
    function_patterns text[] CHECK (cardinality(function_patterns) >= 1),
    per_second        double precision CHECK (per_second > 0),
    created_by        text,
    created_at        timestamptz NOT NULL DEFAULT clock_timestamp(),
    expires_at        timestamptz,
    revoked_at        timestamptz,
    last_used_at      timestamptz
);
COMMENT ON COLUMN tokens.function_patterns IS 'the functions that the token may reach; NULL is all';

-- Counts the changes of tokens. A process that has seen the present number has seen every change.
CREATE TABLE token_changes (
    row_is_single boolean PRIMARY KEY DEFAULT true CHECK (row_is_single),
    number        bigint NOT NULL
);
INSERT INTO token_changes (number) VALUES (0);
CREATE FUNCTION count_token_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE token_changes SET number = number + 1;
    RETURN NULL;
END;
$$;
CREATE TRIGGER change_is_counted
    AFTER INSERT OR DELETE OR TRUNCATE
       OR UPDATE OF id, name, secret_digest, scopes, function_patterns, per_second, expires_at, revoked_at ON tokens
    FOR EACH STATEMENT EXECUTE FUNCTION count_token_change();

-- What was changed, when and by which token; NULL is none: a server without authentication, or the command line on the
-- database, as `via` says. A row is written in the transaction of its change, and never changes.
CREATE TABLE audit (
    id          uuid PRIMARY KEY,
    at          timestamptz NOT NULL DEFAULT clock_timestamp(),
    via         text NOT NULL CHECK (via IN ('api', 'database')),
    token_name  text,
    action      text NOT NULL,
    subject     text NOT NULL,
    function_id uuid,
    revision    integer
);

-- The name of the token that made the call; NULL without authentication.
ALTER TABLE executions ADD COLUMN invoked_by text;
