-- What a function may reach: its settings name environment variables, secrets and origins, and say who may call it as an
-- HTTP endpoint. Columns tell without a look at the settings whether there is anything: most functions have nothing.
ALTER TABLE revisions
    ADD COLUMN public boolean NOT NULL
        GENERATED ALWAYS AS (coalesce(settings -> 'http' ->> 'auth' = 'none', false)) STORED,
    ADD COLUMN reaches boolean NOT NULL
        GENERATED ALWAYS AS (settings -> 'env' IS NOT NULL OR settings -> 'secrets' IS NOT NULL
                             OR settings -> 'outbound' IS NOT NULL) STORED;

-- The outbound requests of an execution: method, URL without its query, status, milliseconds.
ALTER TABLE executions ADD COLUMN requests json;

CREATE OR REPLACE VIEW executable_revisions AS
SELECT function_id, number, status, compile_error, module_digest, limits, public, reaches FROM revisions;
CREATE VIEW executable_settings AS SELECT function_id, number, settings FROM revisions;
