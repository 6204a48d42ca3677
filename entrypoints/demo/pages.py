"""Web pages as a person without scripts sees them: text and forms."""

from html.parser import HTMLParser
from urllib.parse import urljoin

from msgspec import Struct, field

_UNSEEN = frozenset({"head", "script", "style", "template"})


class Form(Struct):
    """A form with what is filled in already, and the buttons that send it, by what they say."""

    action: str
    method: str
    fields: dict[str, str] = field(default_factory=dict)
    buttons: dict[str, tuple[str, str]] = field(default_factory=dict)


class Page(Struct):
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
        seen = [label for form in self.forms for label in form.buttons]
        raise LookupError(f"no button {button!r} on the page {self.heading!r}, only {seen}")


class PageReader(HTMLParser):
    """Collect visible text and forms; `page()` gives them when all was fed."""

    def __init__(self, url: str) -> None:
        super().__init__(convert_charrefs=True)
        self._url = url
        self._unseen = 0
        self._words: list[str] = []
        self._heading: list[str] = []
        self._label: list[str] = []
        self._inside: str | None = None
        self._button: tuple[str, str] = ("", "")
        self._forms: list[Form] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        name, value = attributes.get("name", ""), attributes.get("value", "")
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "form":
            action = urljoin(self._url, attributes.get("action", ""))
            self._forms.append(Form(action=action, method=attributes.get("method", "get").upper()))
        elif tag == "input" and name and self._forms:
            self._forms[-1].fields[name] = value
        elif tag == "h1":
            self._inside = tag
        elif tag == "button":
            self._inside, self._button, self._label = tag, (name, value), []

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen -= 1
        elif tag == self._inside:
            self._inside = None
            if tag == "button" and self._forms:
                self._forms[-1].buttons[_joined(self._label)] = self._button

    def handle_data(self, data: str) -> None:
        if self._unseen:
            return
        self._words.append(data)
        if self._inside == "h1":
            self._heading.append(data)
        elif self._inside == "button":
            self._label.append(data)

    def page(self, *, status: int, referrer_policy: str) -> Page:
        return Page(
            url=self._url,
            status=status,
            heading=_joined(self._heading),
            text=_joined(self._words),
            forms=self._forms,
            referrer_policy=referrer_policy,
        )


def _joined(pieces: list[str]) -> str:
    return " ".join("".join(pieces).split())
