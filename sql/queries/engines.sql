-- name: get_engine_number(digest)$
SELECT number FROM engines WHERE digest = :digest;

-- name: register_engine(digest, name)!
-- The engine becomes the newest one. Of two that are registered at the same time, one is not and tries again.
INSERT INTO engines (digest, name, number)
SELECT :digest::bytea, :name::text, coalesce(max(number), 0) + 1 FROM engines
ON CONFLICT DO NOTHING;

-- name: keep_engine(digest)$
-- Says whether the engine is stored. Its grace period, after which it is removed if it has no images, begins again.
WITH unmarked AS (
    DELETE FROM unreferenced_modules WHERE digest = :digest
)
SELECT EXISTS (SELECT FROM modules WHERE digest = :digest);

-- name: store_engine(digest, binary)!
INSERT INTO modules (digest, wasm) VALUES (:digest, :binary) ON CONFLICT DO NOTHING;

-- name: get_engine(digest)$
SELECT wasm FROM modules JOIN engines USING (digest) WHERE digest = :digest;
