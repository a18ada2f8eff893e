"""The systems that faas is compared with. Each runs in its own process and does not import faas."""
