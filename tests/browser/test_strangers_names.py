"""A client's name, whatever characters it has, cannot look like text of our own."""

import pytest
from playwright.sync_api import Page

from support.loopback_client import listening
from support.server import Server
from support.visitors import comes_to, sign_in

NAMES = {
    "long": "A very long name indeed " * 8,
    "without a place to break": "W" * 200,
    "right to left": "\u05ea\u05d5\u05db\u05e0\u05d4 \u05dc\u05e2\u05e8\u05d9\u05db\u05d4",
    "emoji": "\U0001f9d1\u200d\U0001f4bb\U0001f680" * 20,
    "turned around": "Editor \u202etnuocca ruoy dekcehc sah\u202c \u2066x",
    "a sentence of ours": "Verified. Signed in as root@example.com",
    "markup": "</bdi></strong><h1>Verified</h1><button>Allow</button>",
    "marks piled up": "Z" + "\u0300\u0315\u031b" * 60 + "algo",
    "lines": "Editor\n\n\n\n\n\n\n\nAccess is sent to\nbank.example",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_client_name_stays_inside_its_box(page: Page, server: Server, email: str, name: str):
    with listening(server.origin, client_name=name) as client:
        page.set_viewport_size({"width": 320, "height": 640})
        page.goto(client.url())
        sign_in(page, email)
        comes_to(page, "Allow access?")
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        assert [found.inner_text() for found in page.get_by_role("button").all()] == [
            "Deny",
            "Allow",
            "Use another account",
        ]
        headings = [found.inner_text() for found in page.get_by_role("heading").all()]
        assert headings == [
            "Allow access?",
            "Access is sent to",
            "It may",
            "At this server",
            "About the application",
        ]
        claim = page.locator(".ask .claim")
        box = claim.bounding_box()
        assert box is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 320
        # Whatever is piled on its letters is painted in this box alone; and its direction ends with it.
        assert claim.evaluate("node => getComputedStyle(node).contain") == "paint"
        assert claim.locator("bdi").count() == 1
        words = page.locator(".ask").evaluate("node => getComputedStyle(node).direction")
        assert words == "ltr"
        assert page.locator(".host").inner_text() == "127.0.0.1"
