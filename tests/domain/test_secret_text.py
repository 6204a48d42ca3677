import base64

import pytest

from grantledger.domain.secret_text import MasterSecretInvalid, parsed_secrets

OLD, NEW = bytes(range(32)), bytes(range(100, 140))


def text(secret: bytes) -> str:
    return base64.b64encode(secret).decode()


def refusal_of(*texts: str) -> str:
    with pytest.raises(MasterSecretInvalid) as refused:
        parsed_secrets(texts)
    return str(refused.value)


def test_the_order_of_the_secrets_is_kept():
    assert parsed_secrets([text(NEW), text(OLD)]) == [NEW, OLD]


@pytest.mark.parametrize(
    "written",
    [
        base64.b64encode(NEW).decode(),
        base64.b64encode(NEW).decode().rstrip("="),
        base64.urlsafe_b64encode(NEW).decode(),
        base64.urlsafe_b64encode(NEW).decode().rstrip("="),
        f" {base64.b64encode(NEW).decode()}\n",
    ],
)
def test_reads_base64_as_any_tool_prints_it(written):
    assert parsed_secrets([written]) == [NEW]


@pytest.mark.parametrize("written", ["not base64!", "ä" * 44, "AAAAA", "AA=A", "AA AA"])
def test_refuses_malformed_base64_without_showing_it(written):
    assert refusal_of(written) == "a master secret is not written in base64"


@pytest.mark.parametrize(
    ("secrets", "sentence"),
    [
        ([], "there is no master secret"),
        ([NEW, bytes(31)], "master secret 2 has 31 of 32 bytes"),
        ([NEW, OLD, NEW], "two master secrets are the same"),
    ],
)
def test_refuses_missing_short_and_repeated_secrets(secrets, sentence):
    assert refusal_of(*map(text, secrets)) == sentence
