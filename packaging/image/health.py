"""The image's health check: exits with 0 when the server in this container answers that it is up."""

import os
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection

TIMEOUT_SECONDS = 5


def main() -> None:
    """Ask `/health`, and end with 1 and the reason unless the answer is 200."""
    port = int(os.environ.get("FAAS_PORT", "8080"))
    connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS)
    if os.environ.get("FAAS_TLS_CERT"):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # 127.0.0.1 is no name of the certificate
        connection = HTTPSConnection("127.0.0.1", port, timeout=TIMEOUT_SECONDS, context=context)
    try:
        connection.request("GET", "/health")
        response = connection.getresponse()
    except (OSError, HTTPException) as error:
        sys.exit(f"no answer on port {port}: {error}")
    if response.status != 200:
        sys.exit(f"{response.status} {response.read(1000).decode(errors='replace')}")


if __name__ == "__main__":
    main()
