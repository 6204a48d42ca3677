"""A password for the demo user: easy to read from a terminal and to type into a page."""

import secrets

_WORDS = (
    "amber", "anchor", "basil", "birch", "breeze", "cedar", "clover", "copper", "coral", "cricket", "dune",
    "ember", "falcon", "fern", "flint", "harbor", "hazel", "heron", "indigo", "ivory", "jasmin", "juniper",
    "lantern", "lilac", "linden", "lupin", "maple", "marble", "meadow", "mellow", "mint", "olive", "onyx",
    "opal", "otter", "pebble", "pepper", "plum", "poplar", "quartz", "raven", "river", "saffron", "sage",
    "sienna", "sparrow", "thistle", "topaz", "tulip", "velvet", "walnut", "willow", "wren", "zephyr",
)  # fmt: skip


def readable_password() -> str:
    """Return three words and a number, enough for a server on loopback with temporary users."""
    words = [secrets.choice(_WORDS) for _ in range(3)]
    return f"{'-'.join(words)}-{secrets.randbelow(90) + 10}"
