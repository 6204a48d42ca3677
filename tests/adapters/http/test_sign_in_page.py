"""The sign-in page: who asks, what is kept after a problem, and what never is."""

from msgspec.structs import replace

from grantledger.adapters.http.pages.rendering import SignInPage
from support.rendered_pages import REFUSED, SIGN_IN, Document, pages, words


def test_sign_in_says_who_asks_for_what():
    assert "to continue to Claude Code which asks to use Notes" in Document(pages(SIGN_IN)).text


def test_sign_in_says_when_the_client_has_no_name():
    page = replace(SIGN_IN, client_name=None)
    assert "to continue to an application without a name" in Document(pages(page)).text


def test_sign_in_posts_to_its_own_transaction():
    (form,) = Document(pages(SIGN_IN)).all("form")
    assert form["action"] == "/auth/authorize/t1/sign-in"


def test_pages_live_at_the_root_without_a_base_path():
    (form,) = Document(pages(replace(SIGN_IN, base_path="", home="/authorize"))).all("form")
    assert form["action"] == "/authorize/t1/sign-in"


def test_a_transaction_id_is_one_segment_of_the_path():
    (form,) = Document(pages(replace(SIGN_IN, segment="../a?b#c"))).all("form")
    assert form["action"] == "/auth/authorize/..%2Fa%3Fb%23c/sign-in"


def test_password_managers_recognise_the_fields_of_sign_in():
    document = Document(pages(SIGN_IN))
    assert document.all("input", name="email", inputmode="email", autocomplete="username")
    assert document.all("input", name="password", type="password", autocomplete="current-password")


def test_sign_in_starts_at_the_first_empty_field():
    def focused(page: SignInPage) -> list[str | None]:
        return [field["name"] for field in Document(pages(page)).all("input") if "autofocus" in field]

    assert focused(SIGN_IN) == ["email"]
    assert focused(REFUSED) == ["password"]


def test_a_problem_is_announced_and_tied_to_both_fields():
    document = Document(pages(REFUSED))
    (alert,) = document.all("div", role="alert")
    described = {"aria-invalid": "true", "aria-describedby": str(alert["id"])}
    assert [field["name"] for field in document.all("input", **described)] == ["email", "password"]
    assert "E-mail address or password is wrong." in document.text
    assert words(*document.text_in["title"]).startswith("Problem: Sign in")


def test_without_a_problem_nothing_is_announced():
    document = Document(pages(SIGN_IN))
    assert "alert" not in {attributes.get("role") for _, attributes in document.elements}
    assert not document.all("input", **{"aria-invalid": "true"})


def test_a_problem_keeps_the_email_and_never_a_password():
    document = Document(pages(REFUSED))
    assert document.all("input", name="email", value="ada@example.com")
    assert "value" not in document.all("input", name="password")[0]


def test_sign_in_warns_of_self_registered_clients():
    text = Document(pages(replace(SIGN_IN, self_registered=True))).text
    assert "Not verified. This application registered itself" in text
    assert "Not verified" not in Document(pages(SIGN_IN)).text
