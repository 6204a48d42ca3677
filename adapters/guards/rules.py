"""The rule table: what calls need, for MCP servers whose tools cannot be decorated."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from urllib.parse import unquote

from msgspec import Struct

from grantledger.adapters.guards.check import names
from grantledger.adapters.guards.messages import HASHED_NAME, METHODS, NAMED_BY, Call
from grantledger.adapters.guards.requires import FORBIDDEN, Requirement, requires
from grantledger.adapters.guards.uri_spelling import is_ambiguous, normalized

Rule = str | Iterable[str] | Requirement
"""A scope, several scopes, or `requires(...)`."""

Rules = Mapping[str, Rule]
"""Rules by pattern, such as `tools/call:delete_*`. `*` is any text."""


class RuleTable:
    """Finds the requirement of a call. All rules whose patterns fit count, not only the first."""

    def __init__(self, rules: Rules) -> None:
        """Raises `ValueError` for a pattern that fits no call, or a scope that no challenge can hold."""
        self._rules = [_rule(pattern, _requirement(rule)) for pattern, rule in rules.items()]
        self._is_about_uris = any(
            rule.names and rule.method.fits(_folded(method))
            for rule in self._rules
            for method, parameter in NAMED_BY.items()
            if parameter == "uri"
        )

    @property
    def scopes(self) -> tuple[str, ...]:
        """All scopes that a rule names."""
        return tuple(scope for rule in self._rules for scope in rule.requirement.scopes)

    def __bool__(self) -> bool:
        return bool(self._rules)

    def of(self, call: Call) -> Requirement | None:
        """Return the requirement, None if no rule is about this call.

        With rules about URIs, no session may use a URI that servers could read as another one.
        """
        is_uri = NAMED_BY.get(call.method) == "uri"
        if is_uri and self._is_about_uris and call.name is not None and is_ambiguous(call.name):
            return FORBIDDEN
        method = _folded(call.method)
        spellings = () if call.name is None else tuple({_folded(one) for one in _spellings(call.name)})
        found: Requirement | None = None
        for rule in self._rules:
            if rule.fits(method, spellings):
                found = rule.requirement.joined(found)
        return found


class _Pattern(Struct, frozen=True):
    """The parts of a text between its stars. A regular expression would be slow with several stars."""

    parts: tuple[str, ...]

    def fits(self, folded: str) -> bool:
        first, *others = self.parts
        if not others:
            return folded == first
        *middle, last = others
        start, end = len(first), len(folded) - len(last)
        if start > end or not folded.startswith(first) or not folded.endswith(last):
            return False
        for part in middle:
            start = folded.find(part, start, end)
            if start < 0:
                return False
            start += len(part)
        return True


class _Rule(Struct, frozen=True):
    """`names` are the spellings of the pattern for names. If there are none, the rule fits every name."""

    method: _Pattern
    names: tuple[_Pattern, ...]
    requirement: Requirement

    def fits(self, method: str, spellings: tuple[str, ...]) -> bool:
        if not self.method.fits(method):
            return False
        return not self.names or any(name.fits(spelling) for name in self.names for spelling in spellings)


def _rule(pattern: str, requirement: Requirement) -> _Rule:
    method, colon, name = pattern.partition(":")
    if "/" not in method and method != "*":
        raise ValueError(f"rule {pattern!r} must begin with a method, such as tools/call:{method}")
    if (meant := _misspelt(method)) is not None:
        raise ValueError(f"rule {pattern!r} is about no method of MCP: did you mean {meant!r}?")
    by_method = _pattern(method)
    if not colon:
        return _Rule(by_method, (), requirement)
    if not name or not any(by_method.fits(_folded(named)) for named in NAMED_BY):
        raise ValueError(f"rule {pattern!r} fits no call: only {', '.join(NAMED_BY)} have a name")
    by_name = {
        _pattern(spelling, decode=decode) for spelling in (name, normalized(name)) for decode in (False, True)
    }
    return _Rule(by_method, tuple(by_name), requirement)


def _misspelt(method: str) -> str | None:
    """Return the method of MCP that a pattern almost names, None for any other, such as an extension's."""
    folded = {_folded(known): known for known in METHODS}
    if "*" in method or _folded(method) in folded:
        return None
    return next((folded[near] for near in get_close_matches(_folded(method), folded, 1, _ALMOST)), None)


_ALMOST = 0.85
"""The minimum similarity of a misspelling: `tool/call` is one of `tools/call`, and `tools/delete` is not."""


def _pattern(text: str, *, decode: bool = False) -> _Pattern:
    parts = text.split("*")
    return _Pattern(tuple(_folded(unquote(part) if decode else part) for part in parts))


def _folded(text: str) -> str:
    """Return a form that is the same for all upper and lower case spellings, in every language."""
    return text.replace("\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}", "i").upper().casefold()


def _spellings(name: str) -> Iterator[str]:
    """Yield each name that a server may read here. Extra names are safe, because rules only forbid."""
    for spelling in (name, unquote(name)):
        yield spelling
        yield normalized(spelling)
    if (hashed := HASHED_NAME.fullmatch(name)) is not None:
        yield hashed["name"]


def _requirement(rule: Rule) -> Requirement:
    return rule if isinstance(rule, Requirement) else requires(*names(rule))
