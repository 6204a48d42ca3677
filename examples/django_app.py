"""A Django application (ASGI) whose authorization server is another process; see remote.py.

Run `python examples/django_app.py`. http://127.0.0.1:9000/mcp needs a token; / is public. The discovery
documents are routes of the application, too.
"""

import json

import django
import uvicorn
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import path

from grantledger import McpAuthClient
from grantledger.adapters.guards.django import mcp_auth_required, mcp_discovery
from remote import ISSUER, PORT, RESOURCE, print_next_step
from tiny_mcp import answer

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["127.0.0.1"], SECRET_KEY="only for this example")
django.setup()
auth = McpAuthClient(issuer=ISSUER, resource=RESOURCE)


@mcp_auth_required(auth)
async def mcp(request: HttpRequest) -> HttpResponse:
    if request.method != "POST":
        return HttpResponse(status=405)
    response = answer(json.loads(request.body), request.mcp_session)
    return HttpResponse(status=202) if response is None else JsonResponse(response)


async def home(_: HttpRequest) -> HttpResponse:
    return HttpResponse("Hello from Django.")


urlpatterns = [path("", home), path("mcp", mcp), *mcp_discovery(auth)]
app = get_asgi_application()


if __name__ == "__main__":
    print_next_step()
    uvicorn.run(app, host="127.0.0.1", port=PORT, access_log=False, proxy_headers=False)
