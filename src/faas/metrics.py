"""What is measured, as Prometheus metrics: one place for their names and buckets."""

from prometheus_client import Counter, Gauge, Histogram

_EXECUTION_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_COMPILATION_BUCKETS = (0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)

EXECUTION_SECONDS = Histogram(
    "faas_executions_seconds", "Executions by how they ended.", ["status"], buckets=_EXECUTION_BUCKETS
)
EXECUTIONS_IN_FLIGHT = Gauge("faas_executions_in_flight", "Executions that this process runs now.")
EXECUTIONS_REFUSED = Counter("faas_executions_refused", "Executions answered with 429.")
COMPILATION_SECONDS = Histogram(
    "faas_compilations_seconds",
    "Compilations by language and outcome.",
    ["language", "outcome"],
    buckets=_COMPILATION_BUCKETS,
)
COMPILATIONS_IN_FLIGHT = Gauge("faas_compilations_in_flight", "Compilations that this process has in hand now.")
QUEUE_MESSAGES = Gauge("faas_queue_messages", "Messages in a queue, hidden ones included.", ["queue"])
QUEUE_OLDEST_SECONDS = Gauge("faas_queue_oldest_seconds", "Age of a queue's oldest message.", ["queue"])
DATABASE_CONNECTIONS = Gauge("faas_database_connections", "Connections of the pool by state.", ["state"])
