"""The image's health check: exits with 0 when the server in this container answers that it is up."""

import os
import sys
from http.client import HTTPConnection, HTTPException

TIMEOUT_SECONDS = 5


def main() -> None:
    """Ask `/health`, and end with 1 and the reason unless the answer is 200."""
    port = int(os.environ.get("FAAS_PORT", "8080"))
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/health")
        response = connection.getresponse()
    except (OSError, HTTPException) as error:
        sys.exit(f"no answer on port {port}: {error}")
    if response.status != 200:
        sys.exit(f"{response.status} {response.read(1000).decode(errors='replace')}")


if __name__ == "__main__":
    main()
