"""Text from outside, made harmless to look at: control, bidirectional and invisible characters are shown,
not obeyed. Models, tools, tests and file names all write what a terminal would otherwise execute.
"""

import re

# C0 and C1 controls; bidirectional marks, embeddings and isolates; zero-width and other invisible format
# characters; tag characters and the supplementary variation selectors, which can carry a hidden text; lone
# surrogates, which stand for bytes of a file name that is not UTF-8. The joiner U+200D stays: emoji need it.
_UNSAFE = re.compile(
    "[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u180e\u200b\u200c\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff\ud800-\udfff]"
)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\x1b": "\\e", "\x07": "\\a", "\x08": "\\b"}
TAB = "    "


def inert(text: str) -> str:
    """One line: line breaks are shown too."""
    return _UNSAFE.sub(_shown, text)


def inert_lines(text: str) -> list[str]:
    """The lines of a longer text, each inert, tabs as spaces. A carriage return before a line break is dropped."""
    lines = text.replace("\r\n", "\n").split("\n")
    if lines and not lines[-1]:
        lines.pop()
    return [inert(line.replace("\t", TAB)) for line in lines]


def _shown(match: re.Match[str]) -> str:
    character = match.group()
    if character in _NAMED:
        return _NAMED[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"<U+{code:04X}>"
