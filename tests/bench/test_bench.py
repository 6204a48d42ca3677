"""The parts of the bench that decide what its figures mean."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from bench.browser import CookieJar, code_in, page_of
from bench.connection import Response
from bench.goals import Line
from bench.options import PARTS, parse
from bench.page import page
from bench.plots import cpu, latency
from bench.results import load, save
from bench.summaries import paired, percentile, summary

ROOT = Path(__file__).parents[2]
PERFORMANCE = ROOT / "docs" / "performance"


def test_a_percentile_is_the_value_that_so_many_do_not_exceed():
    values = list(range(100, 0, -1))
    assert [percentile(values, share) for share in (0.5, 0.99, 1.0)] == [50, 99, 100]
    assert percentile([7.0], 0.99) == 7.0


def test_a_ratio_is_taken_between_rounds_that_ran_next_to_each_other():
    # The machine became three times slower; the second version takes half of the first in each round.
    assert paired([1, 2, 3], [2, 4, 6]).median == 0.5
    with pytest.raises(ValueError, match="zip"):
        paired([1, 2], [1])


@pytest.mark.parametrize(
    ("measured", "verdict"), [(0.4, "goal met"), (0.5, "goal met"), (0.8, "floor met"), (1.1, "**missed**")]
)
def test_a_goal_is_judged_by_the_median(measured, verdict):
    rounds = summary([0.0, measured, 9.0])
    assert Line("refresh", rounds, goal=0.5, floor=1.0).verdict == verdict


def test_a_floor_holds_also_where_the_goal_is_above_it():
    assert Line("p99", summary([1.5]), goal=2.0, floor=1.0).verdict == "**missed**"


@pytest.mark.parametrize("arguments", [["--only", "refresh"], ["--ours-only"], ["--set", "log_level=info"]])
def test_only_a_run_that_measures_everything_writes_the_page(arguments):
    assert parse([]).publish
    assert parse(["--quick"]).publish
    assert "live" in set(PARTS) - set(parse(["--quick"]).parts)
    assert not parse(arguments).publish


def test_a_cookie_is_sent_below_its_path_until_it_is_cleared():
    jar = CookieJar()
    jar.take(answer(b"a=1; Path=/authorize; HttpOnly", b"b=2; path=/"))
    assert jar.header("/authorize/x") == {"Cookie": "a=1; b=2"}
    assert jar.header("/authorized") == {"Cookie": "b=2"}
    jar.take(answer(b'a=""; Path=/authorize; Max-Age=0', b"b=; path=/"))
    assert jar.header("/authorize") == {}


def answer(*cookies: bytes) -> Response:
    return Response(200, [(b"Set-Cookie", cookie) for cookie in cookies], b"")


def test_forms_and_links_are_read_from_a_page():
    found = page_of(
        '<a href="/sign-up?a=1&amp;b=2">Sign up</a><form method="post" action="/consent">'
        '<input type="hidden" name="csrf" value="&lt;x&gt;"><input name="plain">'
        '<button name="decision" value="allow" class="primary">Allow</button><button>Later</button></form>'
    )
    (form,) = found.forms
    assert found.links == ["/sign-up?a=1&b=2"]
    assert form.action == "/consent"
    assert form.inputs == [("csrf", "hidden", "<x>"), ("plain", "text", "")]
    assert form.buttons == [("decision", "allow", "Allow")]


def test_a_code_is_read_from_a_redirect():
    assert code_in("https://client.example.com/callback?state=s&code=a%2Bb") == "a+b"
    assert code_in("https://auth.example.com/consent?state=s") is None


def test_the_page_and_the_plots_show_the_results_beside_them(tmp_path):
    """After a change of the template: `make bench ARGS=--render`."""
    results = load(PERFORMANCE / "results.json")
    assert (ROOT / "docs" / "performance.md").read_text(encoding="utf-8") == page(results)
    assert (PERFORMANCE / "cpu.svg").read_text(encoding="utf-8") == cpu(results)
    assert (PERFORMANCE / "latency.svg").read_text(encoding="utf-8") == latency(results)
    save(results, tmp_path / "results.json")
    assert load(tmp_path / "results.json") == results


def test_a_run_without_peers_still_gives_a_page_that_says_so():
    results = load(PERFORMANCE / "results.json")
    missing = {title: "npm is not installed" for name, title in results.titles.items() if name != "ours"}
    alone = replace(results, titles={"ours": results.titles["ours"]}, missing=missing)
    text = page(alone)
    assert "Better Auth 1.6.34, Bun 1.4.5, SQLite (npm is not installed)" in text
    assert "of Better Auth" not in text
    assert "| storage of 10,000 grants |" in text
    assert cpu(alone).count("ours") == latency(alone).count("ours") == 6
