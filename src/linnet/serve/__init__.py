"""Bundle to HTTP service. Knows nothing of how a bundle is made: the build side is never imported.

app.py        composition: routes, middleware, error handlers
schemas.py    what requests and answers look like
failures.py   the one shape of every error
limits.py     the request id, and the bound on a request's body
docs.py       the page at /docs
server.py     the process: sockets, signals, start and stop
"""

from linnet.serve.app import create_app
from linnet.serve.server import serve

__all__ = ["create_app", "serve"]
