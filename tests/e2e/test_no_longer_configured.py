"""What a server answers about a resource that was configured before its restart."""

from pathlib import Path

import pytest

from support.oauth import Person, error_of, heading_of, redemption
from support.server import free_port, serving

NOTES = '{"identifier": "https://notes.example/mcp", "name": "Notes"}'
MAIL = '{"identifier": "https://mail.example/mcp", "name": "Mail"}'


@pytest.mark.full
async def test_a_removed_resource_is_refused_by_page_token_and_session(tmp_path: Path):
    port = free_port()
    with serving(tmp_path, port=port, resources=f"[{MAIL}, {NOTES}]") as server:
        person = Person.at(server.origin)
        client = (await person.register())["client_id"]
        asked = {"resource": "https://notes.example/mcp"}
        tokens = await person.tokens(client, **asked)
        code = await person.code(client, **asked)
        waiting = await person.sign_in(await person.asked(client, **asked, prompt="consent"))
    with serving(tmp_path, port=port, resources=f"[{MAIL}]"):
        assert heading_of(await person.http.get(waiting.url.path)) == (400, "This request is out of date")
        allowed = await person.post(waiting, "consent", decision="allow")
        assert heading_of(allowed) == (400, "This request is out of date")
        assert error_of(await person.refresh(client, tokens["refresh_token"])) == (400, "invalid_grant")
        assert error_of(await person.token(**redemption(client, code))) == (400, "invalid_grant")
        assert (await person.session(tokens["access_token"])).status_code == 401
        account = await person.sign_in(await person.http.get("/authorize/account"))
        assert "https://notes.example/mcp" in account.text  # the user can still disconnect it
    await person.http.aclose()
