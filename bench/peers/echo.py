"""A bare litestar echo under uvicorn, configured as in `faas serve`: one process, uvloop, httptools.

python -m bench.peers.echo PORT
"""

import sys
from typing import Any

import uvicorn
from litestar import Litestar, post


@post("/", status_code=200)
async def echo(data: dict[str, Any]) -> dict[str, Any]:
    """Return the JSON of the request."""
    return data


if __name__ == "__main__":
    uvicorn.run(
        Litestar([echo]),
        host="127.0.0.1",
        port=int(sys.argv[1]),
        loop="uvloop",
        http="httptools",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
    )
