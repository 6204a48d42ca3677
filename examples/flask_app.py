"""A Flask application (WSGI) whose authorization server is another process; see remote.py.

Run `python examples/flask_app.py`. Every path of http://127.0.0.1:9000 except /health needs a token.
"""

from flask import Flask, Response, jsonify, request
from werkzeug.serving import run_simple

from grantledger import SyncMcpAuthClient, current_session, with_mcp_auth_wsgi
from remote import ISSUER, PORT, RESOURCE, print_next_step
from tiny_mcp import answer

app = Flask(__name__)
auth = SyncMcpAuthClient(issuer=ISSUER, resource=RESOURCE)
app.wsgi_app = with_mcp_auth_wsgi(app.wsgi_app, auth, public=["/health"])  # type: ignore[method-assign,assignment]


@app.post("/mcp")
def mcp() -> Response:
    session = current_session()
    assert session is not None  # the guard lets no other request through
    response = answer(request.get_json(), session)
    return Response(status=202) if response is None else jsonify(response)


@app.get("/health")
def health() -> str:
    return "well"


if __name__ == "__main__":
    print_next_step()
    run_simple("127.0.0.1", PORT, app, threaded=True)
