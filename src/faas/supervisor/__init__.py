"""A server of several processes: the supervisor, which serves nothing itself, and the workers that it starts."""

from faas.supervisor.supervisor import Announcements, supervise

__all__ = ["Announcements", "supervise"]
