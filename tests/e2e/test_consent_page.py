"""What the consent page says of a client, and that a client cannot make it say more."""

from grantledger.application.provenance import Caller
from support.oauth import Person, heading_of, returned
from support.pages import CONSENT
from support.server import EMAIL, Server


async def test_the_consent_page_names_client_host_scopes_resource_and_user(server: Server, ada: Person):
    client = await ada.register(client_name="Notes for editors")
    page = await ada.asked(client["client_id"], scope="openid email")
    assert heading_of(page) == CONSENT
    for shown in (
        "Notes for editors",
        "claude.ai",
        "Know which account here is yours",
        "See your e-mail address",
        f"{server.origin}/mcp",
        EMAIL,
        client["client_id"],
    ):
        assert shown in page.text


async def test_consent_warns_of_a_client_that_registered_itself(ada: Person, client: str):
    assert "This application registered itself." in (await ada.asked(client)).text


async def test_the_consent_page_does_not_warn_of_an_approved_client(server: Server, ada: Person, client: str):
    async with server.use_cases() as container:
        await container.use_cases().approve_client(client, Caller(correlation_id="test"))
    page = await ada.asked(client)
    assert heading_of(page) == CONSENT
    assert "registered itself" not in page.text
    assert "Not verified" not in page.text


async def test_consent_warns_again_when_the_approval_is_withdrawn(server: Server, ada: Person, client: str):
    async with server.use_cases() as container:
        await container.use_cases().approve_client(client, Caller(correlation_id="test"))
        await container.use_cases().withdraw_approval(client, Caller(correlation_id="test"))
    assert "This application registered itself." in (await ada.asked(client)).text


async def test_consent_warns_of_loopback(ada: Person):
    uri = "http://127.0.0.1:3118/callback"
    client = await ada.register(redirect_uris=[uri])
    page = await ada.asked(client["client_id"], redirect_uri=uri)
    assert "This address is on your own computer." in page.text


async def test_consent_warns_of_a_private_scheme(ada: Person):
    uri = "cursor://anysphere.cursor-mcp/oauth/callback"
    client = await ada.register(redirect_uris=[uri])
    page = await ada.asked(client["client_id"], redirect_uri=uri)
    assert "This address opens an app, not a website." in page.text
    assert "cursor://anysphere.cursor-mcp" in page.text


async def test_consent_for_a_web_site_in_capital_letters_does_not_call_it_an_app(ada: Person):
    uri = "HTTPS://shop.example/callback"
    client = await ada.register(redirect_uris=[uri])
    page = await ada.asked(client["client_id"], redirect_uri=uri)
    assert heading_of(page) == CONSENT
    assert "This address opens an app, not a website." not in page.text


async def test_consent_for_a_web_site_does_not_warn_of_programs_on_the_computer(ada: Person, client: str):
    assert "on this computer" not in (await ada.asked(client)).text.lower()


async def test_the_consent_page_says_whether_the_client_can_renew_its_access(ada: Person):
    said = []
    for grant_types in (["authorization_code", "refresh_token"], ["authorization_code"]):
        client = await ada.register(grant_types=grant_types)
        page = await ada.asked(client["client_id"])
        said.append("can renew its access by itself, until you disconnect it" in page.text)
    assert said == [True, False]


async def test_offline_access_is_promised_only_to_a_client_that_can_refresh(ada: Person):
    promised = []
    for grant_types in (["authorization_code", "refresh_token"], ["authorization_code"]):
        client = await ada.register(grant_types=grant_types, scope="openid offline_access")
        page = await ada.asked(client["client_id"], scope="openid offline_access")
        promised.append("Keep its access while you are away" in page.text)
        code = returned(await ada.submit(page, "consent", decision="allow"))["code"]
        tokens = (await ada.redeem(client["client_id"], code)).json()
        assert ("refresh_token" in tokens) == ("offline_access" in tokens["scope"]) == promised[-1]
        assert ("offline_access" in client["scope"]) == promised[-1]
    assert promised == [True, False]


async def test_consent_to_more_keeps_what_was_allowed_before(ada: Person, client: str):
    await ada.code(client, scope="openid")
    page = await ada.asked(client, scope="openid email")
    assert "New: it may also" in page.text
    code = returned(await ada.submit(page, "consent", decision="allow"))["code"]
    assert (await ada.redeem(client, code)).json()["scope"] == "openid email"


async def test_the_name_of_a_client_is_shown_as_text(ada: Person):
    client = await ada.register(client_name="<script>alert(1)</script>", client_uri="https://x.example/\"'")
    page = await ada.asked(client["client_id"])
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page.text
    assert "<script" not in page.text
