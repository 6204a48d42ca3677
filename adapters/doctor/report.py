"""What an examination has found."""

from typing import Any

from msgspec import Struct

from grantledger.adapters.doctor.catalogue import CHECKS, Check, Severity

_MAX_SEEN = 300


class Finding(Struct, frozen=True):
    """A check with the violations that were seen. If none was seen, the check has passed."""

    check: Check
    seen: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        return self.check.severity if self.seen else Severity.OK

    def record(self) -> dict[str, Any]:
        """Return the finding for programs."""
        return {
            "check": self.check.id,
            "severity": self.severity.value,
            "rule": self.check.rule,
            "section": self.check.section,
            "clients": self.check.clients,
            "seen": list(self.seen),
            "do": self.check.fix if self.seen else "",
        }


class Report:
    """Collects judgements. A check may be judged several times; it passes if it holds each time."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.issuer = ""
        """The authorization server, "" if none was found."""
        self._seen: dict[str, list[str]] = {}
        self.left_behind: list[str] = []
        """What was created at the server and could not be removed, without any secret."""
        self.unfinished = ""
        """Why the examination ended early."""

    def judge(self, check_id: str, holds: object, seen: str) -> bool:
        """Record whether the check holds; `seen` describes the violation. Returns `bool(holds)`."""
        assert check_id in CHECKS, check_id
        against = self._seen.setdefault(check_id, [])
        if holds:
            return True
        shown = printable(seen)[:_MAX_SEEN]
        if shown not in against:
            against.append(shown)
        return False

    @property
    def findings(self) -> list[Finding]:
        """Every check that was made, in the order of the catalogue."""
        return [Finding(CHECKS[name], tuple(self._seen[name])) for name in CHECKS if name in self._seen]

    def of(self, *severities: Severity) -> list[Finding]:
        """Return the findings of these severities, in the order of the severities."""
        return [finding for one in severities for finding in self.findings if finding.severity is one]


def printable(text: str) -> str:
    """Return the text with control characters escaped, because an examined server may have chosen it."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
