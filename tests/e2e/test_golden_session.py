"""The shape of `/session`, which resource servers in other processes read."""

import time

from support.oauth import Person
from support.server import EMAIL, Server


async def test_a_session_has_these_members_and_no_other(server: Server, ada: Person, client: str):
    before = int(time.time())
    tokens = await ada.tokens(client, scope="openid email")
    after = time.time()
    session = (await ada.session(tokens["access_token"])).json()
    user_id, expires_at = session.pop("user_id"), session.pop("expires_at")
    assert len(session.pop("grant_id")) == 22
    assert session == {
        "client_id": client,
        "scope": "openid email",
        "resource": f"{server.origin}/mcp",
        "subject_type": "user",
        "roles": [],
        "permissions": [],
        "user": {"email": EMAIL, "email_verified": False, "name": None},
    }
    assert user_id.startswith("glu_")
    assert before + 3600 <= expires_at <= after + 3600


async def test_a_session_never_holds_a_token(ada: Person, client: str):
    tokens = await ada.tokens(client, scope="openid offline_access")
    answer = await ada.session(tokens["access_token"])
    for token in (tokens["access_token"], tokens["refresh_token"], "glrt_", "glat_"):
        assert token not in answer.text


async def test_two_grants_of_one_user_show_the_same_user(ada: Person):
    clients = [(await ada.register())["client_id"] for _ in range(2)]
    tokens = [await ada.tokens(client) for client in clients]
    sessions = [(await ada.session(one["access_token"])).json() for one in tokens]
    assert sessions[0]["user_id"] == sessions[1]["user_id"]
    assert [session["client_id"] for session in sessions] == clients
