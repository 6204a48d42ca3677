"""Every page in every state, as Chromium shows it: read by anybody, at any width, in light and dark.

The accessibility tree of each is kept in tests/golden/pages. After a change that is meant, delete the file
and run this test: it writes the file and fails, once.
"""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page

from browser.browser_operator import Operator
from browser.gallery import GALLERY
from browser.visitor import Visitor
from support.loopback_client import LoopbackClient
from support.server import Server

GOLDEN = Path(__file__).parents[1] / "golden" / "pages"

# What is different each time: ids, addresses, names, ports and times.
CHANGING = (
    (re.compile(r"glc_[A-Za-z0-9_-]+"), "CLIENT_ID"),
    (re.compile(r"[0-9a-f]{8}@example\.com"), "EMAIL"),
    (re.compile(r"Editor [0-9a-f]{8}"), "CLIENT_NAME"),
    (re.compile(r"127\.0\.0\.1(:|%3A)\d+"), "LOOPBACK"),
    (re.compile(r"\d+ [A-Z][a-z]+ \d{4}, \d\d:\d\d UTC"), "TIME"),
    (re.compile(r"/authorize/s/[A-Za-z0-9_-]{22}/"), "/authorize/s/SEGMENT/"),
    (re.compile(r"/[A-Za-z0-9_-]{22}\b"), "/TRANSACTION"),
    (re.compile(r"transaction=[A-Za-z0-9_-]{22}"), "transaction=TRANSACTION"),
    (re.compile(r"\b[0-9a-f]{16}\b"), "NUMBER"),
)

# Each piece of text with its colour and the colours behind it, the nearest first, as [r, g, b, a].
TEXTS = """() => {
  const parsed = colour => {
    const [r, g, b, a = 1] = colour.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a];
  };
  const found = [];
  const seen = (node, text) => {
    const grounds = [];
    for (let at = node; at; at = at.parentElement) grounds.push(parsed(getComputedStyle(at).backgroundColor));
    found.push({text, ink: parsed(getComputedStyle(node).color), grounds});
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const text = walker.currentNode.textContent.trim();
    const node = walker.currentNode.parentElement;
    if (text && node.getClientRects().length) seen(node, text);
  }
  for (const field of document.querySelectorAll('input:not([type=hidden])')) seen(field, field.name);
  return found;
}"""

FOCUS = """() => {
  const at = document.activeElement;
  if (!at || at === document.body) return null;
  const style = getComputedStyle(at);
  const box = at.getBoundingClientRect();
  const shown = box.top >= -1 && box.bottom <= innerHeight + 1;
  return {what: at.tagName + ' ' + (at.name || at.innerText), outline: style.outlineStyle,
          width: parseFloat(style.outlineWidth), shown};
}"""


@pytest.fixture
def visitor(
    *,
    page: Page,
    server: Server,
    client: LoopbackClient,
    email: str,
    operator: Operator,
    host: Server,
    member_host: Server,
    member_operator: Operator,
    strict: Server,
) -> Visitor:
    return Visitor(page, server, client, email, operator, host, member_host, member_operator, strict)


@pytest.mark.parametrize("name", GALLERY)
def test_a_page_is_accessible(visitor: Visitor, name: str):
    """One page for all checks of a state, because reaching the state takes longest."""
    GALLERY[name](visitor)
    page = visitor.page
    page.wait_for_load_state()  # a heading is there before the stylesheet
    faults = [*tree_faults(page, name), *width_faults(page)]
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        faults += [f"{scheme}: {fault}" for fault in contrast_faults(page)]
    faults += focus_faults(page)
    assert faults == []


def tree_faults(page: Page, name: str) -> list[str]:
    """The accessibility tree is the one in the golden file."""
    tree = page.locator("body").aria_snapshot()
    for changing, stays in CHANGING:
        tree = changing.sub(stays, tree)
    golden = GOLDEN / f"{name}.yaml"
    if not golden.exists():
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(f"{tree}\n")
        return [f"{golden.name} was not there: look at it, then run this again"]
    return [] if golden.read_text() == f"{tree}\n" else [f"the tree has changed: {tree}"]


def width_faults(page: Page) -> list[str]:
    """Nothing is cut off and no page scrolls sideways (WCAG 2.2, 1.4.10)."""
    faults = []
    for width in (320, 1280):
        page.set_viewport_size({"width": width, "height": 800})
        inner = page.evaluate("document.documentElement.scrollWidth")
        if inner > width:
            faults.append(f"{inner} px wide at {width}")
    return faults


def contrast_faults(page: Page) -> list[str]:
    """At least 4.5 between each text and what is behind it, as computed styles say (WCAG 2.2, 1.4.3)."""
    texts = page.evaluate(TEXTS)
    assert texts
    found = []
    for one in texts:
        ratio = contrast(one["ink"], next(ground for ground in one["grounds"] if ground[3] == 1))
        half = [ground for ground in one["grounds"] if 0 < ground[3] < 1]
        if ratio < 4.5 or half:
            found.append(f"{ratio:.2f} for {one['text']!r}")
    return found


def focus_faults(page: Page) -> list[str]:
    """Tab visits every control in order, and each shows that it has the focus."""
    # From the very top: a field that had the focus at first would stay where Tab starts from.
    page.evaluate("() => { document.body.tabIndex = -1; document.body.focus(); }")
    usable = page.locator("a, button, input:not([type=hidden])").count()
    met = []
    for _ in range(usable):
        page.keyboard.press("Tab")
        at = page.evaluate(FOCUS)
        if at is not None:
            met.append(at)
    unseen = [one["what"] for one in met if one["outline"] == "none" or one["width"] < 2 or not one["shown"]]
    faults = [f"focus is not seen on {what}" for what in unseen]
    return faults if len(met) >= usable else [*faults, f"Tab met {len(met)} of {usable}"]


def contrast(one: list[float], other: list[float]) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def luminance(colour: list[float]) -> float:
    """WCAG 2.2, relative luminance."""
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (x / 255 for x in colour[:3])
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_every_state_has_its_tree_and_every_tree_its_state():
    assert {path.stem for path in GOLDEN.iterdir()} == set(GALLERY)
