"""A FastAPI application whose authorization server is another process; see remote.py.

Run `python examples/fastapi_app.py`. Every path of http://127.0.0.1:9000 except /health needs a token, and
/notes also needs the scope notes:read.
"""

from typing import Annotated, Any

import uvicorn
from fastapi import Body, Depends, FastAPI, Response
from fastapi.responses import JSONResponse

from grantledger import McpAuthClient, McpSession
from grantledger.adapters.guards.starlette import mcp_session
from remote import ISSUER, PORT, RESOURCE, print_next_step
from tiny_mcp import answer

auth = McpAuthClient(issuer=ISSUER, resource=RESOURCE)
app = FastAPI()
app.add_middleware(auth.middleware(public=["/health"]))


@app.post("/mcp")
async def mcp(
    message: Annotated[dict[str, Any], Body()], session: Annotated[McpSession, Depends(mcp_session(auth))]
) -> Response:
    response = answer(message, session)
    return Response(status_code=202) if response is None else JSONResponse(response)


@app.get("/notes")
async def notes(session: Annotated[McpSession, Depends(mcp_session(auth, "notes:read"))]) -> dict[str, str]:
    return {"notes of": str(session.user_id)}


@app.get("/health")
async def health() -> str:
    return "well"


if __name__ == "__main__":
    print_next_step()
    uvicorn.run(app, host="127.0.0.1", port=PORT, access_log=False, proxy_headers=False)
