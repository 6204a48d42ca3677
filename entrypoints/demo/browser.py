"""A person's browser, scripted: it follows redirects, keeps cookies, and sends the pages' own forms."""

from typing import Self
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx2
from msgspec import Struct

from grantledger.entrypoints.demo.pages import HtmlPage, parsed_page

_MAX_REDIRECTS = 10
_NAVIGATION = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document", "sec-fetch-user": "?1"}


class Arrival(Struct):
    """A redirect to another origin: the redirect URI of a client, where no program needs to listen."""

    url: str

    @property
    def parameters(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.url).query)

    def parameter(self, name: str) -> str | None:
        """Return a parameter that must not be repeated."""
        values = self.parameters.get(name, [])
        if len(values) > 1:
            raise LookupError(f"{name} appears {len(values)} times in {self.url}")
        return values[0] if values else None


class Browser:
    def __init__(self) -> None:
        self._http = httpx2.AsyncClient(follow_redirects=False, timeout=30, trust_env=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()

    async def open(self, url: str) -> HtmlPage | Arrival:
        """Open a URL that another program passed to the browser."""
        headers = {**_NAVIGATION, "sec-fetch-site": "none"}
        return await self._followed(await self._http.get(url, headers=headers))

    async def press(self, button: str, page: HtmlPage, **filled: str) -> HtmlPage | Arrival:
        """Fill in the form of the button and submit it. The other values stay as the page has set them."""
        form = page.form_with(button)
        unknown = filled.keys() - form.fields.keys()
        if unknown:
            raise LookupError(f"no field {', '.join(sorted(unknown))} on the page {page.heading!r}")
        name, value = form.buttons[button]
        sent = {**form.fields, **filled, **({name: value} if name else {})}
        # With "no-referrer", browsers also hide the origin of a form, and our pages then refuse the form.
        origin = "null" if page.referrer_policy == "no-referrer" else _origin(page.url)
        headers = {**_NAVIGATION, "sec-fetch-site": "same-origin", "origin": origin}
        return await self._followed(
            await self._http.request(form.method, form.action, data=sent, headers=headers)
        )

    async def _followed(self, response: httpx2.Response) -> HtmlPage | Arrival:
        for _ in range(_MAX_REDIRECTS):
            if "location" not in response.headers:
                return _page(response)
            here = str(response.request.url)
            target = urljoin(here, response.headers["location"])
            if _origin(target) != _origin(here):
                return Arrival(target)
            # 303 means to fetch the next page with GET. Browsers do the same for 302 after a form.
            response = await self._http.get(target, headers={**_NAVIGATION, "sec-fetch-site": "same-origin"})
        raise LookupError(f"more than {_MAX_REDIRECTS} redirects, the last to {response.request.url}")


def _page(response: httpx2.Response) -> HtmlPage:
    return parsed_page(
        response.text,
        url=str(response.request.url),
        status=response.status_code,
        referrer_policy=response.headers.get("referrer-policy", ""),
    )


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
