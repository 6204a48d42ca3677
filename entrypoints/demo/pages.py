"""Web pages as a person without scripts sees them: text and forms."""

from urllib.parse import urljoin

from bs4 import BeautifulSoup, Tag
from msgspec import Struct, field


class Form(Struct):
    """A form with its values so far, and the buttons that send it, by their labels."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class HtmlPage(Struct):
    url: str
    status: int
    heading: str
    text: str
    forms: list[Form]
    referrer_policy: str

    def form_with(self, button: str) -> Form:
        """Return the form that the button sends. Raises `LookupError`."""
        for form in self.forms:
            if button in form.buttons:
                return form
        labels = [label for form in self.forms for label in form.buttons]
        raise LookupError(f"no button {button!r} on the page {self.heading!r}, only {labels}")


def parsed_page(html: str, *, url: str, status: int, referrer_policy: str) -> HtmlPage:
    """Return the visible text of a page and its forms."""
    document = BeautifulSoup(html, "html.parser")
    return HtmlPage(
        url=url,
        status=status,
        heading=_text(document.h1),
        text=_text(document.body),
        forms=[_form(tag, url) for tag in document.find_all("form")],
        referrer_policy=referrer_policy,
    )


def _form(tag: Tag, url: str) -> Form:
    return Form(
        action=urljoin(url, _attribute(tag, "action")),
        method=(_attribute(tag, "method") or "get").upper(),
        fields={_attribute(field, "name"): _attribute(field, "value") for field in tag.select("input[name]")},
        buttons={
            _text(button): (_attribute(button, "name"), _attribute(button, "value"))
            for button in tag.find_all("button")
        },
    )


def _attribute(tag: Tag, name: str) -> str:
    return str(tag.get(name, ""))


def _text(tag: Tag | None) -> str:
    return "" if tag is None else " ".join(tag.get_text().split())
