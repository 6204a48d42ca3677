"""The TypeScript SDK, unmodified, at the demo: a read tool, a write tool, 403, and the same call again."""

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from grantledger.entrypoints.demo.browser import Arrival, Browser
from grantledger.entrypoints.demo.pages import HtmlPage
from grantledger.entrypoints.demo.process import RunningServer, running_server
from support.node_clients import NodeClient, installed, running
from support.server import EMAIL, PASSWORD, free_port
from support.stores import once

pytestmark = [pytest.mark.full, once("its servers make a SQLite file of their own")]

SCRIPT = Path(__file__).parents[1] / "support" / "node_clients" / "step_up.mjs"


@pytest.fixture(scope="module", autouse=True)
def _packages() -> None:
    installed()


@pytest.fixture(scope="module")
def demo() -> Iterator[RunningServer]:
    with running_server(free_port(), EMAIL, PASSWORD) as server:
        yield server
        assert "Traceback" not in server.output()


async def allows(client: NodeClient) -> tuple[list[str], str]:
    """Allow what the client asks for; return the scopes it asks for, and the text of the consent page."""
    url = client.line_with(r"AUTHORIZE \S+").partition(" ")[2]
    async with Browser() as browser:
        page = await browser.open(url)
        assert isinstance(page, HtmlPage)
        consent = await browser.press("Sign in", page, email=EMAIL, password=PASSWORD)
        assert isinstance(consent, HtmlPage)
        arrival = await browser.press("Allow", consent)
    assert isinstance(arrival, Arrival)
    client.says(arrival.url)
    return parse_qs(urlsplit(url).query)["scope"][0].split(), consent.text


@pytest.mark.parametrize(
    ("generation", "grant_types"),
    [
        ("1", ("authorization_code",)),
        ("2", ("authorization_code",)),
        ("2", ("authorization_code", "refresh_token")),
    ],
)
async def test_a_client_asks_for_more_and_keeps_what_it_had(
    demo: RunningServer, tmp_path: Path, generation: str, grant_types: tuple[str, ...]
) -> None:
    arguments = (str(SCRIPT), generation, f"{demo.origin}/mcp", *grant_types)
    with running("node", *arguments, home=tmp_path) as client:
        asked, _ = await allows(client)
        assert asked == ["todo:read"]
        assert client.line_with("RESULT .*").endswith("allowed: todo:read")
        asked, page = await allows(client)
        assert asked == ["todo:read", "todo:write"]
        assert "New: it may also Use “todo:write”" in page
        assert client.line_with("TOKENS .*") == "TOKENS todo:read todo:write"
        assert "feed the cat" in client.line_with("RESULT .*")
        assert client.line_with("RESULT .*").endswith("allowed: todo:read todo:write")


async def test_version_1_with_a_refresh_token_refreshes_and_gives_up(
    demo: RunningServer, tmp_path: Path
) -> None:
    """A fault of the SDK that docs/guards.md names. If this fails, the SDK is fixed: change the manual."""
    arguments = (str(SCRIPT), "1", f"{demo.origin}/mcp", "authorization_code", "refresh_token")
    with running("node", *arguments, home=tmp_path) as client:
        await allows(client)
        client.line_with("RESULT .*")
        assert "403 after trying upscoping" in client.line_with("(FAILED|AUTHORIZE) .*")
