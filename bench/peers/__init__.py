"""What the platform is compared with. Each runs in a process of its own, and imports nothing of faas."""
