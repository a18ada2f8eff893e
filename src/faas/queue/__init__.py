"""The message queues: typed pgmq calls, the consumer loop, the LISTEN connection and the message formats."""
