"""The style sheet: contrast in both schemes, and nothing from elsewhere."""

import hashlib
import re
from itertools import product

import pytest

from grantledger.adapters.http.pages.rendering import PAGE_CSS, PAGE_CSS_DIGEST

CSS = re.sub(r"/\*.*?\*/", "", PAGE_CSS.decode(), flags=re.DOTALL)
ROOTS = re.findall(r":root \{(.*?)\}", CSS, flags=re.DOTALL)

LIGHT, DARK = (dict(re.findall(r"(--[a-z-]+): (#[0-9a-f]{6});", root)) for root in ROOTS)

INKS = [name for name in LIGHT if name.startswith("--ink")]
SURFACES = [name for name in LIGHT if name.startswith("--surface")]
READ = [*product(INKS, SURFACES), ("--button-ink", "--button"), ("--button-ink", "--button-hover")]
SEEN = [*product(("--edge", "--focus"), ("--surface-card", "--surface-page", "--surface-sunk"))]

both_schemes = pytest.mark.parametrize(
    "scheme", [pytest.param(LIGHT, id="light"), pytest.param(DARK, id="dark")]
)


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def test_contrast_is_computed_as_wcag_does():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#767676", "#ffffff") == pytest.approx(4.54, abs=0.01)


@both_schemes
@pytest.mark.parametrize(("ink", "surface"), READ)
def test_every_text_colour_has_enough_contrast_on_every_surface(
    scheme: dict[str, str], ink: str, surface: str
):
    assert contrast(scheme[ink], scheme[surface]) >= 4.5


@both_schemes
@pytest.mark.parametrize(("line", "surface"), SEEN)
def test_field_borders_and_focus_rings_have_enough_contrast(scheme: dict[str, str], line: str, surface: str):
    assert contrast(scheme[line], scheme[surface]) >= 3


def test_both_schemes_name_the_same_colours():
    assert LIGHT.keys() == DARK.keys()
    assert len(ROOTS) == 2


def test_rules_use_named_colours_and_each_for_its_purpose():
    rules = re.sub(r":root \{.*?\}", "", CSS, flags=re.DOTALL)
    assert not re.findall(r"#[0-9a-f]{3,8}\b|\b(?:rgb|hsl|hwb|lab|lch|oklab|oklch|color)a?\(", rules)
    assert {*re.findall(r"var\((--[a-z-]+)\)", rules)} == LIGHT.keys()
    inks = re.findall(r"[{;\s]color: ([^;]+);", rules)
    assert {*inks} <= {f"var({ink})" for ink in (*INKS, "--button-ink")}
    grounds = re.findall(r"background(?:-color)?: var\(([^;]+)\);", rules)
    assert {*grounds} <= {*SURFACES, "--button", "--button-hover"}


def test_the_style_sheet_loads_nothing():
    assert not re.findall(r"url\(|@import|@font-face|image-set", CSS)


def test_the_digest_names_the_bytes_that_are_served():
    assert hashlib.sha256(PAGE_CSS).hexdigest().startswith(PAGE_CSS_DIGEST)
    assert re.fullmatch("[0-9a-f]{8}", PAGE_CSS_DIGEST)
