"""What a refusal says: the lines of the file that the failed search most likely meant, with numbers.

This only words a message. Nothing found here is ever applied.
"""

from collections import Counter
from collections.abc import Sequence
from difflib import SequenceMatcher

from orchestration.edits.match import plain

_MAX_SHOWN = 24  # lines of the file in one message
_MAX_WIDTH = 240  # characters of a line in a message
_MAX_COMPARED = 4_000  # lines compared one by one when no line is equal


def absent_reason(contents: Sequence[str], wanted: Sequence[str], new: Sequence[str]) -> str:
    """Why `wanted` was not found in the file and what to write instead. `new` is its replacement."""
    if not contents:
        return "The file is empty."
    done = _index(contents, new) if any(line.strip() for line in new) else None
    already = (
        ""
        if done is None
        else f"The replacement itself is in the file already, at line {done + 1}: it may be done.\n"
    )
    start = _nearest(contents, wanted)
    if start is None:
        return (
            already
            + f"No line of the file resembles it ({len(contents)} lines). Read the file and try again."
        )
    first = max(start, 0)
    difference = _first_difference(contents, wanted, start)
    text = (
        already
        + "The nearest lines of the file are:\n"
        + numbered(contents, first - 1, start + len(wanted) + 1, difference)
    )
    if difference is not None and 0 <= difference < len(contents):
        yours, actual = wanted[difference - start], contents[difference]
        if yours.strip() == actual.strip():
            text += f"\nThe first difference is in the blanks of line {difference + 1}: you wrote {_quote(yours)}, it is {_quote(actual)}."
        else:
            text += f"\nThe first difference is line {difference + 1}: you wrote {_quote(yours)}, it is {_quote(actual)}."
    return text + "\nCopy the lines exactly as the file has them, indentation included, and try again."


def ambiguous_reason(contents: Sequence[str], places: Sequence[int], size: int) -> str:
    """Where `size` lines occur, and that more context is needed. `places` are 0-based lines."""
    shown = places[:3]
    where = ", ".join(str(place + 1) for place in places[:12]) + (", …" if len(places) > 12 else "")
    parts = [f"It occurs {len(places)} times, at lines {where}."]
    parts += [
        f"Around line {place + 1}:\n" + numbered(contents, place - 2, place + min(size, 4) + 1)
        for place in shown
    ]
    parts.append("Add lines before or after it, so that it occurs once, and try again.")
    return "\n".join(parts)


def numbered(contents: Sequence[str], start: int, end: int, focus: int | None = None) -> str:
    """Lines `start` to `end` (0-based, end exclusive, cut to the file and to a readable number around
    `focus`), each with its 1-based number.
    """
    start, end = max(start, 0), min(end, len(contents))
    if end - start > _MAX_SHOWN:
        middle = start if focus is None else focus
        start = max(start, min(middle - _MAX_SHOWN // 2, end - _MAX_SHOWN))
        end = start + _MAX_SHOWN
    width = len(str(end))
    return "\n".join(f"{number + 1:>{width}}| {_cut(contents[number])}" for number in range(start, end))


def _cut(line: str) -> str:
    return line if len(line) <= _MAX_WIDTH else line[:_MAX_WIDTH] + " …"


def _quote(line: str) -> str:
    return repr(_cut(line))


def _index(contents: Sequence[str], wanted: Sequence[str]) -> int | None:
    text = "\n" + "".join(line + "\n" for line in contents)
    at = text.find("\n" + "".join(line + "\n" for line in wanted))
    return None if at < 0 else text.count("\n", 0, at)


def _nearest(contents: Sequence[str], wanted: Sequence[str]) -> int | None:
    """Where `wanted` would begin so that most of its telling lines stand where they are in the file."""
    telling: dict[str, int] = {}
    for number, line in enumerate(wanted):
        bare = plain(line).strip()
        if any(character.isalnum() for character in bare):
            telling.setdefault(bare, number)
    votes: Counter[int] = Counter()
    places = Counter(bare for line in contents if (bare := plain(line).strip()) in telling)
    for at, line in enumerate(contents):
        bare = plain(line).strip()
        if bare in telling and places[bare] <= 50:
            votes[at - telling[bare]] += 1
    if votes:
        return min(votes, key=lambda start: (-votes[start], start))
    return _most_similar(contents, telling)


def _most_similar(contents: Sequence[str], telling: dict[str, int]) -> int | None:
    if not telling:
        return None
    longest = max(telling, key=len)[:_MAX_WIDTH]
    matcher = SequenceMatcher(None, "", longest, autojunk=False)
    best, start = 0.6, None
    for number, line in enumerate(contents[:_MAX_COMPARED]):
        matcher.set_seq1(plain(line).strip()[:_MAX_WIDTH])
        if matcher.real_quick_ratio() > best and matcher.quick_ratio() > best:
            ratio = matcher.ratio()
            if ratio > best:
                best, start = ratio, number - telling[max(telling, key=len)]
    return start


def _first_difference(contents: Sequence[str], wanted: Sequence[str], start: int) -> int | None:
    for number, line in enumerate(wanted):
        at = start + number
        if not 0 <= at < len(contents) or contents[at] != line:
            return at
    return None
