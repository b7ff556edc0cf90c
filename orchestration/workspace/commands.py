"""The policy for commands that a model asks for: what may run by itself on a trusted workspace, what asks.

The server decides; a model's word that something is safe counts for nothing. Allowed are programs that
only read inside the checkout, checkers, and the runners of tests, which run the workspace's own code as
gates do. Everything else asks: unknown programs, installs, interpreters with a program text, options that
write or start something, paths that leave the checkout.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from orchestration.workspace.shell_words import NotPlainError, split

Argv = tuple[str, ...]
_Refusal = Callable[[Argv], str]


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reason` says why it asks; `argvs` are the parts, empty unless it is plain words."""

    kind: Literal["allow", "ask"]
    reason: str = ""
    argvs: tuple[Argv, ...] = ()


def classify(command: str) -> Verdict:
    """Judges a whole command line; one part that asks makes it ask."""
    try:
        steps = split(command)
    except NotPlainError as reason:
        return Verdict("ask", str(reason))
    argvs = tuple(step.argv for step in steps)
    for argv in argvs:
        refusal = _refusal(argv)
        if refusal:
            return Verdict("ask", refusal, argvs)
    return Verdict("allow", "", argvs)


def _refusal(argv: Argv) -> str:
    """Why a part asks; empty: it may run."""
    program = argv[0]
    if "=" in program:
        return "it sets a variable or starts with `=`"
    if "/" in program:
        return f"{program} is a program named by its path"
    outside = next((word for word in argv[1:] if _leaves(word)), None)
    if outside is not None:
        return f"{outside} may lead outside the checkout"
    rule = _RULES.get(program) or (_python if _PYTHON.fullmatch(program) else None)
    if rule is None:
        return f"{program} is not on the list of commands that run by themselves"
    return rule(argv)


_LEAVING = re.compile(r"(^|=|:|,|^-[A-Za-z])/|(^|[/=:])\.\.($|/)|(^|=|:)~|^-[A-Za-z]\.\.(/|$)|://")


def _leaves(word: str) -> bool:
    return _LEAVING.search(word) is not None


# --- rules ------------------------------------------------------------------------------------------


def _any(argv: Argv) -> str:  # noqa: ARG001 - a rule
    return ""


def _without(*forbidden: str) -> _Refusal:
    """Options that ask: `-o` also in a bundle or with its value attached, `--opt` also with `=` or shortened."""

    def rule(argv: Argv) -> str:
        for word in argv[1:]:
            if word == "--":
                break
            name = word.partition("=")[0]
            for option in forbidden:
                long = option.startswith("--")
                if long and len(name) > 3 and option.startswith(name):
                    return f"{argv[0]} {option} writes or starts something"
                if not long and not word.startswith("--") and word.startswith("-") and option[1] in word[1:]:
                    return f"{argv[0]} {option} writes or starts something"
        return ""

    return rule


def _without_words(*forbidden: str) -> _Refusal:
    def rule(argv: Argv) -> str:
        found = next((word for word in argv[1:] if word.startswith(forbidden)), None)
        return f"{argv[0]} {found} writes or starts something" if found else ""

    return rule


def _first(*allowed: str) -> _Refusal:
    """The first argument must be one of these."""

    def rule(argv: Argv) -> str:
        if len(argv) > 1 and argv[1] in allowed:
            return ""
        return f"{argv[0]} runs by itself only with {', '.join(allowed)}"

    return rule


def _both(*rules: _Refusal) -> _Refusal:
    def rule(argv: Argv) -> str:
        return next((said for each in rules if (said := each(argv))), "")

    return rule


def _uniq(argv: Argv) -> str:
    names = [word for word in argv[1:] if not word.startswith("-")]
    return "uniq writes to its second file" if len(names) > 1 else ""


_SED = re.compile(r"[0-9]+(,[0-9]+)?p")


def _sed(argv: Argv) -> str:
    if len(argv) >= 3 and argv[1] == "-n" and _SED.fullmatch(argv[2]):
        return next((f"sed {word} is not looked into" for word in argv[3:] if word.startswith("-")), "")
    return "sed may write and start programs; only `sed -n 1,5p FILE` runs by itself"


def _cd(argv: Argv) -> str:
    if len(argv) == 2 and not argv[1].startswith("-") and argv[1]:
        return ""
    return "cd without a folder of the checkout"


_PYTHON = re.compile(r"python(3(\.[0-9]+)?)?")
_MODULES = (
    "pytest",
    "unittest",
    "mypy",
    "ruff",
    "pyflakes",
    "compileall",
    "json.tool",
    "tabnanny",
    "doctest",
)


def _python(argv: Argv) -> str:
    if argv[1:] in {("--version",), ("-V",)}:
        return ""
    words = argv[1:]
    while words and words[0] in {"-B", "-q", "-u", "-I", "-s", "-E"}:
        words = words[1:]
    if len(words) >= 2 and words[0] == "-m" and words[1] in _MODULES:
        if words[1] == "json.tool" and len([w for w in words[2:] if not w.startswith("-")]) > 1:
            return "json.tool writes to its second file"
        return _RULES[words[1]](words[1:]) if words[1] in _RULES else ""
    return f"{argv[0]} runs by itself only with -m and a test runner or checker"


_SCRIPTS = ("test", "lint", "check", "typecheck", "type-check", "check-types")


def _package_runner(argv: Argv) -> str:
    words = argv[1:]
    if words and words[0] in {"test", "t"}:
        return ""
    if (
        len(words) >= 2
        and words[0] in {"run", "run-script"}
        and (words[1] in _SCRIPTS or words[1].startswith("test:"))
    ):
        return ""
    if words in {("--version",), ("-v",)}:
        return ""
    return f"{argv[0]} runs by itself only tests and checks; installs and other scripts ask"


def _node(argv: Argv) -> str:
    if "--test" in argv[1:]:
        bad = (
            "-e",
            "--eval",
            "-p",
            "--print",
            "-r",
            "--require",
            "--import",
            "--loader",
            "--experimental-loader",
            "-i",
        )
        found = next((word for word in argv[1:] if word.partition("=")[0] in bad), None)
        return f"node {found} runs other code" if found else ""
    if len(argv) >= 2 and argv[1] in {"--check", "-c", "--version", "-v"}:
        return ""
    return "node runs by itself only with --test or --check"


def _shell(argv: Argv) -> str:
    return "" if len(argv) >= 3 and argv[1] == "-n" else f"{argv[0]} runs by itself only with -n"


_FIND = ("-exec", "-ok", "-delete", "-fprint", "-fls", "-files0-from")
_RULES: Mapping[str, _Refusal] = {
    **dict.fromkeys(
        ("basename", "cat", "cmp", "cut", "date", "dirname", "du", "echo", "egrep", "false", "fgrep", "grep", "head",
         "id", "ls", "md5sum", "nl", "pwd", "readlink", "realpath", "sha1sum", "sha256sum", "stat", "tail", "tr",
         "true", "uname", "wc", "which"),
        _any,
    ),
    "date": _without("-s", "--set"),
    "file": _without("-C", "--compile", "-m", "--magic-file"),
    "diff": _any,
    "find": _without_words(*_FIND),
    "rg": _without("--pre", "--hostname-bin", "--search-zip", "-z"),
    "sort": _without("-o", "--output", "--compress-program", "-T", "--temporary-directory"),
    "tree": _without("-o"),
    "uniq": _uniq,
    "sed": _sed,
    "cd": _cd,
    "jq": _without("-f", "--from-file", "-L", "--library-path"),
    # checkers
    "ruff": _both(_first("check", "format", "--version"), _without("--config", "--fix", "--output-file", "--add-noqa")),
    "mypy": _without("--install-types", "--python-executable", "--config-file", "--cache-dir"),
    "pyflakes": _any,
    "shellcheck": _any,
    "tsc": _any,
    **dict.fromkeys(("bash", "sh", "dash"), _shell),
    # the runners of tests; they run the workspace's own code, as gates do
    "pytest": _any,
    "node": _node,
    **dict.fromkeys(("npm", "pnpm", "yarn"), _package_runner),
    "vitest": _any,
    "jest": _any,
    "go": _both(_first("test", "vet", "version"), _without_words("-exec", "-toolexec", "-vettool", "-o")),
    "cargo": _both(_first("test", "check", "clippy", "--version"), _without_words("--config", "--fix", "-Z")),
    "make": _both(_first("test", "check", "lint"), lambda argv: "" if len(argv) == 2 else "make with more than a target"),
}  # fmt: skip
