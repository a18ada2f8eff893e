"""pgmq: a client for the calls we make, and the one consumer loop."""
