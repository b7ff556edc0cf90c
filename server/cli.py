"""`antiphon`: finds the command, reads its options, and turns errors into messages and exit codes.

Only the chosen command's module is imported. Exit codes: 0 done; 1 the answer is no (dead letters, blocked
gates, findings, conflicts); 2 usage or configuration; 70 an internal error; 130 cancelled.
"""

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NoReturn, Protocol, cast

from server.commands import COMMANDS, module_name

if TYPE_CHECKING:
    import argparse

    from server.commands.invocation import Invocation
    from server.terminal.terminal import Terminal

USAGE = 2
INTERNAL = 70
CANCELLED = 130
_INTRODUCTION = "A team of coding agents; what comes back is a change set that you accept hunk by hunk."
_EXAMPLES = """examples:
  antiphon demo                          see it work, without a key
  antiphon run "fix the failing tests"   in the current folder
  antiphon changes latest                what it proposes
  antiphon accept latest --all           write it to your files
  antiphon doctor                        what was found, what is missing

`antiphon COMMAND --help` shows a command's options with examples."""


class CommandModule(Protocol):
    """The shape of a module in `server/commands/` that is a command."""

    EXAMPLES: str

    def configure(self, parser: "argparse.ArgumentParser") -> None: ...

    def execute(self, invocation: "Invocation") -> int: ...


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    _whole_streams()
    if sys.platform == "win32":
        sys.stderr.write("antiphon: native Windows is not supported yet; run it in WSL\n")
        return USAGE
    no_color = "--no-color" in words[:1]
    words = words[1:] if no_color else words
    if not words or words[0] in {"-h", "--help", "help"}:
        sys.stdout.write(_overview())
        return 0 if words else USAGE
    if words[0] in {"--version", "-V"}:
        sys.stdout.write(f"antiphon {_version()}\n")
        return 0
    name = words[0]
    if name == "serve" and words[1:] in ([], ["--stdio"]):
        from server.commands.serve import serve  # no parser, no settings: 30 ms that an editor waits for

        return serve()
    if name not in COMMANDS:
        sys.stderr.write(_unknown(name))
        return USAGE
    return _command(name, [*words[1:], *(["--no-color"] if no_color else [])])


def _command(name: str, words: list[str]) -> int:
    import argparse
    import importlib

    from server.commands.invocation import Invocation
    from server.terminal.terminal import Terminal

    complaints: list[str] = []

    class Parser(argparse.ArgumentParser):
        def error(self, message: str) -> NoReturn:
            complaints.append(message)
            super().error(message)

    module = cast("CommandModule", importlib.import_module(module_name(name)))
    parser = Parser(
        prog=f"antiphon {name}",
        description=COMMANDS[name][0].upper() + COMMANDS[name][1:] + ".",
        epilog=f"examples:\n{module.EXAMPLES.rstrip()}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    code: int | None = None
    try:
        args = parser.parse_args(words)
    except SystemExit as end:  # argparse has printed the help or the error
        args = argparse.Namespace(json="--json" in words)
        code = end.code if isinstance(end.code, int) else USAGE
    terminal = Terminal(
        stdin=sys.stdin,
        stdout=sys.stdout,
        stderr=sys.stderr,
        environ=os.environ,
        json_lines=getattr(args, "json", False),
        no_color=getattr(args, "no_color", False),
    )
    if code is not None:
        for message in complaints:
            terminal.emit({"type": "error", "kind": "UsageError", "message": message, "exitCode": code})
        return code
    return guarded(module, Invocation(args, terminal, os.environ))


def guarded(module: CommandModule, invocation: "Invocation") -> int:
    """Carries out a command; whatever it raises becomes a message and an exit code."""
    try:
        return module.execute(invocation)
    except KeyboardInterrupt:
        invocation.terminal.remark("antiphon: cancelled")
        return CANCELLED
    except BaseExceptionGroup as group:
        return _failed(_innermost(group), invocation.terminal, invocation.environ)
    except Exception as error:  # noqa: BLE001 - the last line before the user: every error gets a message
        return _failed(error, invocation.terminal, invocation.environ)


def _failed(error: BaseException, terminal: "Terminal", environ: Mapping[str, str]) -> int:
    """Says what went wrong and how it can be mended; a bug of ours also goes to the log."""
    from orchestration.errors import AntiphonError

    if isinstance(error, KeyboardInterrupt):
        terminal.remark("antiphon: cancelled")
        return CANCELLED
    provider_exit = _provider_exit(error)
    if isinstance(error, AntiphonError) or provider_exit is not None:
        code = provider_exit if provider_exit is not None else cast("AntiphonError", error).exit_code
        for number, text in enumerate(str(error).splitlines() or [type(error).__name__]):
            terminal.remark("antiphon: " if number == 0 else "  ", text)
        terminal.emit(
            {"type": "error", "kind": type(error).__name__, "message": str(error), "exitCode": code}
        )
        return code
    from server.crash import report

    place = report(error, environ)
    terminal.remark(f"antiphon: internal error: {type(error).__name__}: {error}")
    terminal.remark(f"  {place}")
    terminal.emit({"type": "error", "kind": "internal", "message": str(error), "exitCode": INTERNAL})
    return INTERNAL


def _provider_exit(error: BaseException) -> int | None:
    """Looked up only when that module is loaded: who met no provider does not import its errors."""
    module = sys.modules.get("providers.errors")
    if module is None or not isinstance(error, module.ProviderError):
        return None
    return USAGE if isinstance(error, module.ProviderConfigurationError) else 1


def _innermost(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first error in a group: task groups wrap what one of their tasks raised."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _whole_streams() -> None:
    """A stream that was closed before we started is None in Python; the rest of the program need not care."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123 - lives as long as we


def _overview() -> str:
    width = max(len(name) for name in COMMANDS)
    listed = "\n".join(f"  {name:<{width}}  {summary}" for name, summary in COMMANDS.items())
    return (
        f"usage: antiphon COMMAND [OPTIONS]\n\n{_INTRODUCTION}\n\ncommands:\n{listed}\n\n"
        f"options:\n  --help, --version, --no-color\n\n{_EXAMPLES}\n"
    )


def _unknown(name: str) -> str:
    import difflib

    from server.terminal.inert import inert

    found = difflib.get_close_matches(name, COMMANDS, n=1)
    mend = f"did you mean `{found[0]}`?" if found else "`antiphon --help` lists the commands"
    return f"antiphon: unknown command {inert(name)!r}; {mend}\n"


def _version() -> str:
    from server.handshake import VERSION  # importlib.metadata would take 30 ms to say the same

    return VERSION
