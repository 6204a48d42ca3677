"""`localhost`, `127.0.0.1` and `[::1]` are one machine. A browser can reach the pages by each of these names.

A cookie is not bound to a port. A browser also sends the cookies of the pages to other programs at that name,
for paths under /authorize.
"""

import pytest

from support.oauth import Person, error_of
from support.stores import once

pytestmark = once("is answered before the store is asked")


@pytest.mark.parametrize("host", ["localhost", "[::1]"])
async def test_pages_under_another_name_of_this_machine_are_no_redirect_uri(person: Person, host: str):
    answer = await person.http.post("/register", json={"redirect_uris": [f"http://{host}:9/authorize/x"]})
    assert error_of(answer) == (400, "invalid_redirect_uri")


async def test_the_listener_of_a_client_gets_no_session_cookie(person: Person):
    """The attack: sign in at http://localhost:PORT, be redirected to http://localhost:9/authorize/x."""
    port = person.origin.rpartition(":")[2]
    elsewhere = Person.at(f"http://localhost:{port}")
    async with elsewhere.http as http:
        stolen_at = "http://localhost:9/authorize/x"
        answer = await http.post("/register", json={"redirect_uris": [stolen_at]})
        if answer.status_code != 201:
            return
        client = answer.json()
        page = await elsewhere.asked(client["client_id"], redirect_uri=stolen_at)
        await elsewhere.sign_in(page)
        request = http.build_request("GET", stolen_at, cookies=http.cookies)
        assert "grantledger-session" not in request.headers.get("cookie", "")
