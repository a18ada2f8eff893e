-- name: insert_token(id, name, secret_digest, scopes, function_patterns, per_second, created_by, expires_in)^
INSERT INTO tokens (id, name, secret_digest, scopes, function_patterns, per_second, created_by, expires_at)
VALUES (:id, :name, :secret_digest, :scopes::text[], :function_patterns::text[], :per_second::float8, :created_by::text,
        clock_timestamp() + make_interval(secs => :expires_in::float8))
RETURNING id, name, scopes, function_patterns, per_second, created_by, created_at, expires_at, revoked_at, last_used_at;

-- name: list_tokens(cursor, limit)
SELECT id, name, scopes, function_patterns, per_second, created_by, created_at, expires_at, revoked_at, last_used_at
FROM tokens
WHERE :cursor::text IS NULL OR name > :cursor::text
ORDER BY name
LIMIT :limit;

-- name: find_token(reference)^
SELECT id, name, scopes, function_patterns, per_second, created_by, created_at, expires_at, revoked_at, last_used_at
FROM tokens
WHERE id = :reference OR name = :reference
ORDER BY id = :reference DESC
LIMIT 1;

-- name: revoke_token(id)$
UPDATE tokens SET revoked_at = clock_timestamp() WHERE id = :id AND revoked_at IS NULL RETURNING name;

-- name: get_changes()^
SELECT number, EXISTS (SELECT FROM tokens) AS any_token FROM token_changes;

-- name: list_admitted()
-- Times are compared by the clock of the database: those of the servers may differ.
SELECT id, name, secret_digest, scopes, function_patterns, per_second,
       extract(epoch FROM expires_at - clock_timestamp())::float8 AS seconds_left
FROM tokens
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > clock_timestamp());

-- name: record_use(ids, seconds_ago)!
UPDATE tokens
SET last_used_at = greatest(last_used_at, clock_timestamp() - make_interval(secs => used.seconds_ago))
FROM unnest(:ids::text[], :seconds_ago::float8[]) AS used (id, seconds_ago)
WHERE tokens.id = used.id;
