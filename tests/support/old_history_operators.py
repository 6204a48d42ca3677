"""What a kept ledger holds since the second: operators, passwords, disconnecting, keys, master secrets."""

from typing import Any

from support.oauth import returned
from support.old_history import SignIn, World
from support.old_history_story import BOTH, CALLER, START, Writing, client_of
from support.server import PASSWORD

NEWER, NEWEST = "a newer password", "the newest password"


async def account(now: World, name: str) -> str:
    return await now.container.use_cases().open_account(f"{name}@example.com", PASSWORD, CALLER)


async def tokens_of(now: World, client: str, name: str, **asked: str) -> dict[str, Any]:
    """Sign the person in with a browser of their own, and let the client have its tokens."""
    now.person.http.cookies.clear()
    page = await now.person.asked(client, scope=BOTH, **asked)
    page = await now.person.sign_in(page, email=f"{name}@example.com")
    if "location" not in page.headers:
        page = await now.person.submit(page, "consent", decision="allow")
    answer = await now.person.redeem(client, returned(page)["code"])
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def operators(now: World, writing: Writing) -> None:
    container, ivy = now.container, await account(now, "ivy")
    paused, vouched = await client_of(now.person, "Paused"), await client_of(now.person, "Vouched")
    of_paused = await tokens_of(now, paused, "ivy")
    await container.use_cases().disable_client(paused, CALLER)
    await container.use_cases().enable_client(paused, CALLER)
    writing.token("a token of a client that was enabled again", of_paused, after=700, status=200)
    writing.refresh("a refresh of a client that was enabled again", paused, of_paused, after=700, status=200)

    of_vouched = await tokens_of(now, vouched, "ivy")
    await container.use_cases().approve_client(vouched, CALLER)
    doubted = await client_of(now.person, "Doubted")
    await container.use_cases().approve_client(doubted, CALLER)
    await container.use_cases().withdraw_approval(doubted, CALLER)
    await container.use_cases().disable_user(ivy, CALLER)
    await container.use_cases().enable_user(ivy, CALLER)
    writing.token("a token of a user who was enabled again", of_vouched, after=700, status=200)
    writing.sign_ins.append(SignIn(email="ivy@example.com", password=PASSWORD, user_id=ivy))

    revoked = await tokens_of(now, vouched, "ivy")
    session = await container.use_cases().look_up_session(revoked["access_token"])
    await container.use_cases().revoke_grant(session.grant_id, CALLER)
    writing.token("a token of a grant that an operator revoked", revoked, after=700, status=401)
    writing.refresh("a refresh that an operator revoked", vouched, revoked, after=700, status=400)


async def passwords(now: World, writing: Writing) -> None:
    container = now.container
    kim, lee, max_, eli = [await account(now, name) for name in ("kim", "lee", "max", "eli")]
    await container.use_cases().set_password(kim, NEWER, CALLER)
    await container.use_cases().erase_password(lee, CALLER)
    await container.use_cases().change_password(max_, PASSWORD, NEWEST, CALLER)
    await container.use_cases().sign_in("eli@example.com", PASSWORD, CALLER)
    await container.use_cases().sign_out_everywhere(eli, CALLER)
    for name, password, user_id in (
        ("kim", NEWER, kim),
        ("kim", PASSWORD, None),
        ("lee", PASSWORD, None),
        ("max", NEWEST, max_),
        ("max", PASSWORD, None),
        ("eli", PASSWORD, eli),
    ):
        writing.sign_ins.append(SignIn(email=f"{name}@example.com", password=password, user_id=user_id))


async def apps(now: World, writing: Writing) -> None:
    pat = await account(now, "pat")
    kept, gone = await client_of(now.person, "Kept"), await client_of(now.person, "Gone")
    of_gone, of_kept = await tokens_of(now, gone, "pat"), await tokens_of(now, kept, "pat")
    await now.container.use_cases().disconnect_app(pat, gone, CALLER)
    writing.token("a token of an app that was disconnected", of_gone, after=700, status=401)
    writing.refresh("a refresh of an app that was disconnected", gone, of_gone, after=700, status=400)
    writing.token("a token of an app beside it", of_kept, after=700, status=200)

    uma = await account(now, "uma")
    all_of_uma = [await tokens_of(now, client, "uma") for client in (kept, gone)]
    await now.container.use_cases().disconnect_every_app(uma, CALLER)
    for number, tokens in enumerate(all_of_uma, start=1):
        writing.token(f"token {number} of somebody who disconnected all", tokens, after=700, status=401)


async def host_users(now: World, writing: Writing) -> None:
    """The users of a host are known by its ids, which are sealed; the same one is admitted once."""
    first = await now.container.use_cases().admit_host_user("ada@host.example", CALLER)
    again = await now.container.use_cases().admit_host_user("ada@host.example", CALLER)
    assert first == again
    writing.host_users["ada@host.example"] = first.user_id


async def openid(now: World, writing: Writing) -> None:
    await account(now, "zoe")
    client = await client_of(now.person, "OpenID")
    tokens = await tokens_of(now, client, "zoe", nonce="a nonce", max_age="60")
    assert "id_token" in tokens
    writing.asks("userinfo", after=700, status=200, path="/userinfo", bearer=tokens["access_token"])


async def signing_keys(now: World, writing: Writing) -> None:
    """The first start made two. The next one signs an hour later, and then all are withdrawn."""
    now.clock.advance(START + 3_700 - now.clock.now())
    await now.container.use_cases().rotate_signing_key(CALLER)
    now.clock.advance(300)
    await now.container.use_cases().rotate_signing_key(CALLER, compromised=True)
    for name, after in (("after a compromise", 4_000), ("long afterwards", 90_000)):
        writing.asks(f"the keys {name}", after=after, status=200, path="/jwks")


async def master_secrets(now: World, writing: Writing) -> None:
    """Everything so far is sealed under the first one."""
    await account(now, "joe")
    client = await client_of(now.person, "Before")
    tokens = await tokens_of(now, client, "joe")
    writing.token("a token of the first master secret", tokens, after=4_100, status=200)
    writing.refresh("a refresh of the first master secret", client, tokens, after=4_100, status=200)
    await now.container.use_cases().add_master_secret(CALLER)


async def rotation(now: World, _writing: Writing) -> None:
    """The server was started anew, and knows the second one by now."""
    _, second = await now.container.secret_keeper().key_ids()
    assert await now.container.use_cases().activate_master_secret(second, CALLER) > 0


async def after_rotation(now: World, writing: Writing) -> None:
    """Started anew once more it seals under the second one. A third is dropped unused."""
    joe = await account(now, "amy")
    client = await client_of(now.person, "After")
    tokens = await tokens_of(now, client, "amy")
    writing.token("a token of the second master secret", tokens, after=4_100, status=200)
    writing.sign_ins.append(SignIn(email="amy@example.com", password=PASSWORD, user_id=joe))
    await now.container.use_cases().retire_master_secret(
        await now.container.use_cases().add_master_secret(CALLER), CALLER
    )


CHAPTERS = (operators, passwords, apps, host_users, openid, signing_keys, master_secrets)
