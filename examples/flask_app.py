"""A Flask application (WSGI, without an event loop) whose authorization server is elsewhere; see remote.py.

Run `python examples/flask_app.py` and connect an MCP client to http://127.0.0.1:9000/mcp. Every path needs a
token, but /health.
"""

from flask import Flask, Response, jsonify, request
from werkzeug.serving import run_simple

from grantledger import SyncMcpAuthClient, with_mcp_auth_wsgi
from remote import ISSUER, PORT, RESOURCE
from tiny_mcp import answer

app = Flask(__name__)
auth = SyncMcpAuthClient(issuer=ISSUER, resource=RESOURCE)
app.wsgi_app = with_mcp_auth_wsgi(app.wsgi_app, auth, public=["/health"])  # type: ignore[method-assign,assignment]


@app.post("/mcp")
def mcp() -> Response:
    response = answer(request.get_json())
    return Response(status=202) if response is None else jsonify(response)


@app.get("/health")
def health() -> str:
    return "well"


if __name__ == "__main__":
    run_simple("127.0.0.1", PORT, app, threaded=True)
