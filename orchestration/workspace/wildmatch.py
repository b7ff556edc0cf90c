"""Git's wildcard patterns as regular expressions over bytes (gitignore's documentation, "PATTERN FORMAT").

Over bytes, since that is how git compares: `?` is one byte, so it does not match a two-byte letter.
"""

import re

_CLASSES = {
    b"alnum": b"0-9A-Za-z", b"alpha": b"A-Za-z", b"blank": b" \\t", b"cntrl": b"\\x00-\\x1f\\x7f", b"digit": b"0-9",
    b"graph": b"\\x21-\\x7e", b"lower": b"a-z", b"print": b"\\x20-\\x7e", b"punct": b"!-/:-@\\[-`{-~",
    b"space": b" \\t\\n\\r\\f\\v", b"upper": b"A-Z", b"xdigit": b"0-9A-Fa-f",
}  # fmt: skip

_WILD = re.compile(rb"[*?\[\\]")


class _InvalidPatternError(Exception):
    pass


def compile_pattern(pattern: bytes) -> "re.Pattern[bytes] | None":
    """For `fullmatch` on a path; `*` and `?` stop at slashes, `**` between slashes does not. None for a
    pattern that matches nothing (a class without an end, a lone backslash at the end).
    """
    try:
        return re.compile(_translate(pattern), re.DOTALL)
    except (_InvalidPatternError, re.error):
        return None


def _translate(pattern: bytes) -> bytes:
    out: list[bytes] = []
    at = 0
    while at < len(pattern):
        char = pattern[at : at + 1]
        if char == b"*":
            at = _stars(pattern, at, out)
        elif char == b"?":
            out.append(b"[^/]")
            at += 1
        elif char == b"[":
            text, at = _class(pattern, at + 1)
            out.append(text)
        elif char == b"\\":
            if at + 1 == len(pattern):
                raise _InvalidPatternError
            out.append(re.escape(pattern[at + 1 : at + 2]))
            at += 2
        else:
            out.append(re.escape(char))
            at += 1
    return b"".join(out)


def _stars(pattern: bytes, at: int, out: list[bytes]) -> int:
    """`**` stands alone between slashes (or the ends); anywhere else it is one star. git compares the plain
    beginning of a pattern apart, so that the first wildcard counts as a beginning, too.
    """
    end = at
    while pattern[end : end + 1] == b"*":
        end += 1
    opens = not _WILD.search(pattern[:at]) or pattern[at - 1 : at] == b"/"
    if end - at == 1 or not opens or pattern[end : end + 1] not in {b"", b"/"}:
        out.append(b"[^/]*")
        return end
    if end == len(pattern):
        out.append(b".*")
        return end
    out.append(b"(?:.*/)?")
    return end + 1


def _class(pattern: bytes, at: int) -> tuple[bytes, int]:
    """A bracket expression from behind its `[`; it never matches a slash."""
    negated = pattern[at : at + 1] in {b"!", b"^"}
    at += negated
    parts: list[bytes] = []
    first = True
    while first or pattern[at : at + 1] != b"]":
        first = False
        if pattern[at : at + 2] == b"[:":
            end = pattern.find(b":]", at)
            name = pattern[at + 2 : end]
            if end >= 0 and name in _CLASSES:
                parts.append(_CLASSES[name])
                at = end + 2
                continue
            if end >= 0 and b"]" not in name:
                raise _InvalidPatternError
        low, at = _member(pattern, at)
        if pattern[at : at + 1] == b"-" and pattern[at + 1 : at + 2] not in {b"]", b""}:
            high, at = _member(pattern, at + 1)
            if low <= high:
                parts.append(re.escape(low) + b"-" + re.escape(high))
        else:
            parts.append(re.escape(low))
    inside = b"".join(parts)
    if negated:
        return b"[^/" + inside + b"]", at + 1
    return (b"(?!/)[" + inside + b"]" if inside else b"(?!)"), at + 1


def _member(pattern: bytes, at: int) -> tuple[bytes, int]:
    if pattern[at : at + 1] == b"\\":
        at += 1
    if at >= len(pattern):
        raise _InvalidPatternError
    return pattern[at : at + 1], at + 1
