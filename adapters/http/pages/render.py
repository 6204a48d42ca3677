"""The pages as strings. Every value on them may have been written by an attacker."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template

from grantledger.adapters.http.pages import words
from grantledger.adapters.http.pages.models import (
    AccountPage,
    ConsentPage,
    ErrorPage,
    FormPage,
    Page,
    PasswordPage,
    SignInAgainPage,
    SignInPage,
    SignUpPage,
)

_HERE = Path(__file__).parent

PAGE_CSS = (_HERE / "page.css").read_bytes()
PAGE_CSS_DIGEST = hashlib.sha256(PAGE_CSS).hexdigest()[:8]

_TEMPLATES: dict[type[Page], str] = {
    SignInPage: "sign_in.html",
    SignUpPage: "sign_up.html",
    SignInAgainPage: "sign_in_again.html",
    ConsentPage: "consent.html",
    AccountPage: "account.html",
    PasswordPage: "password.html",
    ErrorPage: "error.html",
}


class Pages:
    def __init__(self, names: Mapping[type[Page], str] = _TEMPLATES) -> None:
        templates = Environment(
            loader=FileSystemLoader(_HERE),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=words.printable,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        templates.filters |= {
            "claimed_name": words.claimed_name,
            "https_host": words.https_host,
            "moment": words.moment,
            "machine_moment": words.machine_moment,
        }
        templates.globals["css_digest"] = PAGE_CSS_DIGEST
        templates.get_template("page.html")  # all are compiled now, not for the first visitor
        self._templates: dict[type[Page], Template] = {
            page: templates.get_template(name) for page, name in names.items()
        }

    def __call__(self, page: Page) -> str:
        """Return the page as HTML."""
        more: dict[str, Any] = {"account": f"{page.base_path}/authorize/account"}
        if isinstance(page, FormPage):
            more["action"] = words.action(page.base_path, page.place)
        return self._templates[type(page)].render(page=page, **more)
