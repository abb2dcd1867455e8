"""Keep credentials that people paste into conversations out of what is learned.

Over-careful on purpose: a redacted word costs little, a learned password is shown to everybody who asks.
"""

import re

MARK = "[redacted]"

_NAMES = (
    r"(?:passw(?:or)?d|pwd|passphrase|secret|token|credentials?"
    r"|api[ _-]?key|access[ _-]?key|private[ _-]?key)"
)

#: Each pattern with what takes its place; applied in this order, the widest first.
_RULES: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(
            r"-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----.*?"
            r"(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|\Z)",
            re.DOTALL,
        ),
        MARK,
    ),
    (re.compile(r"(?i)(hooks\.slack\.com/(?:services|workflows)/)[^\s>|)\[]+"), rf"\1{MARK}"),
    (re.compile(r"://[^/\s:@]{0,256}:[^@\s/]{1,256}@"), f"://{MARK}@"),
    (re.compile(r"\bx(?:ox[a-z]|app)-[A-Za-z0-9-]{6,}"), MARK),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), MARK),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|sk-|sk_live_|sk_test_|rk_live_|npm_)[\w-]{16,}"), MARK),
    (re.compile(r"\bAIza[\w-]{30,}"), MARK),
    (re.compile(r"\beyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*)?"), MARK),
    (re.compile(r"(?i)\b(bearer|authorization:\s*basic)(\s+)[A-Za-z0-9._~+/-]{6,}=*"), rf"\1\2{MARK}"),
    (
        re.compile(rf"(?i)\b([\w-]{{0,40}}{_NAMES}[\"'`]?\s{{0,3}}[:=]\s{{0,3}})\"[^\"\n]{{1,500}}\""),
        rf"\1{MARK}",
    ),
    (
        re.compile(
            rf"(?i)\b([\w-]{{0,40}}{_NAMES}[\"'`*]?\s{{0,3}}[:=]\s{{0,3}}[\"'`]?)(?!\[redacted\])[^\s\"'`,;]+"
        ),
        rf"\1{MARK}",
    ),
    (re.compile(rf"(?i)\b({_NAMES}\s+(?:is|was)\s+[\"'`]?)(?=[^\s\"'`]*\d)[^\s\"'`]+"), rf"\1{MARK}"),
    # A long run that mixes cases and digits is a credential; names of pods, digests and commits are not.
    (re.compile(r"\b(?=\w{0,80}[a-z])(?=\w{0,80}[A-Z])(?=\w{0,80}[0-9])[\w-]{40,}"), MARK),
)


def redact(text: str) -> str:
    """The text with everything that looks like a credential replaced by `[redacted]`."""
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text
