"""The usual start: a client has registered, and Ada is signed in."""

import pytest

from fakes.memory_ledger import MemoryLedger
from grantledger.application.tokens.current_tokens import Tokens
from grantledger.domain.browser_session import BrowserSession
from grantledger.domain.client_registration import ClientRegistration
from support.story import CALLER, EMAIL, PASSWORD, Story


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger()


@pytest.fixture
def story(ledger: MemoryLedger) -> Story:
    return Story(ledger)


@pytest.fixture
async def client(story: Story) -> ClientRegistration:
    return (await story.registers()).client


@pytest.fixture
async def ada(story: Story) -> BrowserSession:
    """Ada's browser session."""
    await story.open_account(EMAIL, PASSWORD, CALLER)
    return await story.signs_in()


@pytest.fixture
async def code(story: Story, client: ClientRegistration, ada: BrowserSession) -> str:
    return await story.code(client, ada)


@pytest.fixture
async def tokens(story: Story, client: ClientRegistration, code: str) -> Tokens:
    return await story.redeems(client, code)
