"""The rule table: what calls need, for MCP servers whose tools cannot be decorated."""

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from grantledger.adapters.guards.check import names
from grantledger.adapters.guards.messages import NAMED_BY, Call
from grantledger.adapters.guards.requires import Requirement, requires

Rule = str | Iterable[str] | Requirement
"""A scope, several scopes, or `requires(...)`."""

Rules = Mapping[str, Rule]
"""Rules by pattern, such as `tools/call:delete_*`. `*` is any text."""


class RuleTable:
    """The requirement of a call: of all rules whose pattern fits, not only of the first one."""

    def __init__(self, rules: Rules) -> None:
        """Raises `ValueError` for a pattern that fits no call, or a scope that no challenge can hold."""
        self._rules = [(*_patterns(pattern), _requirement(rule)) for pattern, rule in rules.items()]

    def __bool__(self) -> bool:
        return bool(self._rules)

    def of(self, call: Call) -> Requirement | None:
        """Return the requirement, None if no rule is about this call."""
        found: Requirement | None = None
        for method, name, requirement in self._rules:
            if method.fullmatch(call.method) and (name is None or _fits(name, call)):
                found = requirement.joined(found)
        return found


def _patterns(pattern: str) -> tuple[re.Pattern[str], re.Pattern[str] | None]:
    method, colon, name = pattern.partition(":")
    if "/" not in method and method != "*":
        raise ValueError(f"rule {pattern!r} must begin with a method, such as tools/call:{method}")
    by_method = _pattern(method)
    if not colon:
        return by_method, None
    if not name or not any(by_method.fullmatch(named) for named in NAMED_BY):
        raise ValueError(f"rule {pattern!r} fits no call: only {', '.join(NAMED_BY)} have a name")
    return by_method, _pattern(name)


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(".*".join(re.escape(part) for part in text.split("*")), re.DOTALL | re.IGNORECASE)


def _fits(pattern: re.Pattern[str], call: Call) -> bool:
    """Whether the pattern fits in any spelling: servers may normalize URIs, and rules only ever forbid."""
    if call.name is None:
        return False
    return any(pattern.fullmatch(spelling) is not None for spelling in (call.name, unquote(call.name)))


def _requirement(rule: Rule) -> Requirement:
    return rule if isinstance(rule, Requirement) else requires(*names(rule))
