"""The Prometheus metrics: their names, labels and buckets."""

from prometheus_client import Counter, Gauge, Histogram

_EXECUTION_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_COMPILATION_BUCKETS_SECONDS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

EXECUTION_SECONDS = Histogram(
    "faas_executions_seconds", "Duration of executions by status.", ["status"], buckets=_EXECUTION_BUCKETS_SECONDS
)
EXECUTIONS = Counter(
    "faas_executions",
    "Executions by function (a bounded number of names, then other), revision (live or other), status and path "
    "(inline on the event loop, or thread).",
    ["function", "revision", "status", "path"],
)
EXECUTIONS_IN_FLIGHT = Gauge("faas_executions_in_flight", "Executions in flight in this process.")
EXECUTIONS_REFUSED = Counter("faas_executions_refused", "Executions refused with 429.")
COMPILATION_SECONDS = Histogram(
    "faas_compilations_seconds",
    "Duration of compilations by language and outcome.",
    ["language", "outcome"],
    buckets=_COMPILATION_BUCKETS_SECONDS,
)
COMPILATIONS_IN_FLIGHT = Gauge("faas_compilations_in_flight", "Compilations in flight in this process.")
QUEUE_MESSAGES = Gauge("faas_queue_messages", "Messages in a queue, invisible ones included.", ["queue"])
QUEUE_OLDEST_SECONDS = Gauge("faas_queue_oldest_seconds", "Age of the oldest message of a queue.", ["queue"])
TABLE_BYTES = Gauge("faas_table_bytes", "Size of a table on disk, with its indexes and partitions.", ["table"])
DATABASE_CONNECTIONS = Gauge("faas_database_connections", "Connections of the shared pool by state.", ["state"])
