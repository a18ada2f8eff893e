-- name: identify_backend()^
-- The server process of this statement. Behind a connection pooler, processes of several servers may have one pid.
SELECT pg_backend_pid() AS pid, (SELECT backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()) AS started;
