"""What the doctor finds at running servers: Better Auth 1.6, a server of the MCP SDK, and ours."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from grantledger import Caller, McpAuthClient, with_mcp_auth
from grantledger.adapters.doctor.catalogue import Severity
from grantledger.adapters.doctor.examination import examine
from grantledger.adapters.doctor.http import Http
from grantledger.adapters.doctor.report import Report
from grantledger.adapters.doctor.sign_in import OpenBrowser
from grantledger.domain.resource_indicator import Resource
from grantledger.entrypoints.demo.browser import Arrival, Browser
from grantledger.entrypoints.demo.process import running_server
from support.better_auth_servers import better_auth
from support.hosting import hosting
from support.leaks import seen
from support.sdk_server import sdk_server
from support.server import EMAIL, PASSWORD, Server, free_port, serving
from support.stores import once
from support.timeouts import TIMEOUT

pytestmark = [pytest.mark.full, once("looks at servers from the outside")]

PATIENT_DOCTOR = f"""
from grantledger.adapters.doctor import http
from grantledger.entrypoints.cli import main

http.TIMEOUT = {TIMEOUT}
main()
"""
"""The command with a long timeout, so that a slow server on a busy machine is not a finding."""

CIMD = {"cimd"}
"""Ours registers clients, and does not fetch their metadata: the only note."""


async def examined(url: str, open_browser: OpenBrowser | None = None) -> Report:
    async with Http() as http:
        report = await examine(url, http, open_browser)
    assert not report.unfinished
    return report


def found(report: Report, severity: Severity) -> set[str]:
    return {finding.check.id for finding in report.of(severity)}


def new_browser() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(timeout=TIMEOUT, trust_env=False, verify=False)


# Better Auth 1.6


@pytest.fixture(scope="module")
def better(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with better_auth(free_port(), home=tmp_path_factory.mktemp("better-auth")) as origin:
        yield origin


@pytest.fixture(scope="module")
async def of_better_auth(better: str) -> Report:
    async with new_browser() as browser:
        account = {"name": "Ada", "email": EMAIL, "password": PASSWORD}
        signed_up = await browser.post(
            f"{better}/api/auth/sign-up/email", json=account, headers={"origin": better}
        )
        assert signed_up.status_code == 200, signed_up.text

        async def open_url(url: str) -> None:
            answer = await browser.get(url)
            if "location" in answer.headers:
                await browser.get(answer.headers["location"])

        with pytest.MonkeyPatch.context() as patch:
            # One redirect URI is refused on a page, so that no response comes, however long one waits.
            patch.setattr("grantledger.adapters.doctor.sign_in.SHORT_TIMEOUT", 0.1)
            return await examined(f"{better}/mcp", open_url)


async def test_it_finds_the_faults_of_better_auth(of_better_auth: Report):
    assert found(of_better_auth, Severity.FAULT) == {
        "resource-identifier",
        "discovery",
        "endpoint-answers",
        "mcp-preflight",
        "challenge-readable",
        "metadata-cors",
        "token-cors",
        "unknown-client",
        "registration-redirect",
        "loopback-port",
        "pkce-required",
        "id-token",
        "refresh-forks",
    }


async def test_it_warns_of_the_weaknesses_of_better_auth(of_better_auth: Report):
    assert found(of_better_auth, Severity.WARNING) == {
        "bad-token-error",
        "resource-metadata-path",
        "offline-access",
        "iss-advertised",
        "revocation-advertised",
        "authorize-cors",
        "checked-first",
        "cookies",
        "registration-error",
        "prompt-none",
        "error-response",
        "token-no-store",
        "replay-revokes",
    }


async def test_it_names_what_better_auth_cannot_remove(of_better_auth: Report):
    tokens, clients = of_better_auth.left_behind
    assert "the server has no revocation endpoint" in tokens
    assert "the server has no way to delete them" in clients


async def test_without_a_sign_in_it_finds_the_rest_and_registers_nothing(better: str, of_better_auth: Report):
    report = await examined(f"{better}/mcp")
    assert not report.left_behind
    active = {"registration-redirect", "loopback-port", "pkce-required", "id-token", "refresh-forks"}
    assert found(report, Severity.FAULT) == found(of_better_auth, Severity.FAULT) - active


# `create_auth_routes` of the SDK


async def test_it_finds_the_faults_of_the_authorization_routes_of_the_sdk():
    port = free_port()
    app, provider = sdk_server(f"http://127.0.0.1:{port}")
    async with hosting(app, port) as origin, new_browser() as browser:

        async def open_url(url: str) -> None:
            await browser.get((await browser.get(url)).headers["location"])

        report = await examined(f"{origin}/mcp", open_url)
    assert found(report, Severity.FAULT) == {
        "mcp-preflight",
        "challenge-readable",
        "token-cors",
        "registration-redirect",
        "basic-header",
        "loopback-port",
        "revocation-public",
    }
    assert found(report, Severity.WARNING) == {
        "challenge-error",
        "auth-method-none",
        "iss-advertised",
        "registration-scope",
        "replay-revokes",
        "refresh-race",
    }
    assert found(report, Severity.NOTE) == {
        "challenge-scope",
        "resource-metadata-root",
        "cimd",
        "error-page",
        "authorize-head",
    }
    assert not provider.access


# Ours


def nothing_but(notes: set[str], report: Report) -> None:
    assert found(report, Severity.FAULT) | found(report, Severity.WARNING) == set()
    assert found(report, Severity.NOTE) == notes


async def allow(url: str) -> None:
    """Do what a user of the demo does in the browser."""
    async with Browser() as browser:
        page = await browser.open(url)
        for button, filled in (("Sign in", {"email": EMAIL, "password": PASSWORD}), ("Allow", {})):
            assert not isinstance(page, Arrival)
            page = await browser.press(button, page, **filled)
        assert isinstance(page, Arrival)
    async with new_browser() as browser_of_client:
        await browser_of_client.get(page.url)


@pytest.fixture(scope="module")
def demo() -> Iterator[str]:
    with running_server(free_port(), EMAIL, PASSWORD) as server:
        yield server.origin


async def test_it_finds_nothing_at_ours(demo: str):
    nothing_but(CIMD, await examined(f"{demo}/mcp"))
    nothing_but(CIMD, await examined(demo))


async def test_the_command_finds_nothing_at_ours_with_a_sign_in(demo: str, tmp_path: Path):
    arguments = ("doctor", f"{demo}/mcp", "--active", "--no-browser", "--json")
    signed_in = 0
    with (
        (tmp_path / "out.json").open("w+") as output,
        subprocess.Popen(
            [sys.executable, "-c", PATIENT_DOCTOR, *arguments],
            stdout=output,
            stderr=subprocess.PIPE,
            text=True,
        ) as process,
    ):
        assert process.stderr is not None
        for line in process.stderr:
            seen("grantledger doctor", line)
            if line.startswith("http"):
                await allow(line.strip())
                signed_in += 1
        assert process.wait(TIMEOUT) == 0
        output.seek(0)
        said = output.read()
    seen("grantledger doctor", said)
    findings = [json.loads(line) for line in said.splitlines()]
    assert {finding["check"] for finding in findings if finding["severity"] != "ok"} == CIMD
    assert {"double-spend", "refresh-race", "revocation-access"} <= {one["check"] for one in findings}
    assert signed_in == 2


async def test_it_finds_nothing_at_an_issuer_with_a_path(tmp_path: Path):
    port = free_port()
    with serving(tmp_path, port=port, issuer=f"http://127.0.0.1:{port}/t1") as server:
        nothing_but(CIMD, await examined(server.issuer))


async def test_it_finds_nothing_at_a_guard_on_another_machine(server: Server):
    port = free_port()
    resource = f"http://127.0.0.1:{port}/mcp"

    async def app(*_: Any) -> None:
        raise AssertionError("no request without a token comes here")

    async with server.use_cases() as container:
        await container.use_cases().add_resource(Resource(resource), Caller(correlation_id="test"))
    metadata = f"{server.origin}/.well-known/oauth-authorization-server"
    async with new_browser() as http, asyncio.timeout(TIMEOUT):
        # The server reads added resources once a second.
        while resource not in (await http.get(metadata)).json()["protected_resources"]:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    async with (
        McpAuthClient(issuer=server.issuer, resource=resource, scopes=("todo",)) as auth,
        hosting(with_mcp_auth(app, auth), port),
    ):
        nothing_but(CIMD, await examined(resource))
