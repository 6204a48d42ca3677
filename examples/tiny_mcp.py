"""An MCP server with one tool, for the examples whose framework has no MCP server.

Your own server would use the official SDK or FastMCP.
"""

from typing import Any

from grantledger import McpSession

TOOL = {"name": "whoami", "description": "Return the caller.", "inputSchema": {"type": "object"}}


def answer(message: dict[str, Any], caller: McpSession) -> dict[str, Any] | None:
    """Return the response to a message, None for a notification, which gets 202 without a body."""
    if "id" not in message:
        return None
    match message.get("method"):
        case "initialize":
            result: dict[str, Any] = {
                "protocolVersion": message["params"]["protocolVersion"],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "Whoami", "version": "1"},
            }
        case "ping":
            result = {}
        case "tools/list":
            result = {"tools": [TOOL]}
        case "tools/call":
            result = {"content": [{"type": "text", "text": str(caller.user_id)}]}
        case _:
            error = {"code": -32601, "message": "Method not found"}
            return {"jsonrpc": "2.0", "id": message["id"], "error": error}
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}
