"""`antiphon review`: analyzers over the difference to a revision, and a reviewing role where a model is set."""

import argparse
from typing import TYPE_CHECKING

from server.commands.invocation import Invocation, workspace_options

if TYPE_CHECKING:
    from orchestration.quality.finding import Finding
    from server.terminal.terminal import Terminal

EXAMPLES = """  antiphon review
  antiphon review --base main --trust
  antiphon review --json | jq -r 'select(.type == "finding") | .rule'

Exit code 0: nothing found. 1: findings, or a reviewing role that could not be
asked. Analyzers are programs, so they run in a trusted workspace only.
"""
_STYLES = {"error": "bold red", "warning": "yellow", "info": "cyan"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--base", metavar="REV", help="compare with this revision (default: HEAD)")
    parser.add_argument("--model", metavar="PROVIDER/NAME", help="let the reviewing role look, too")
    parser.add_argument("--no-model", action="store_true", help="analyzers only, whatever is configured")
    parser.add_argument("--trust", action="store_true", help="trust this workspace for this one command")
    workspace_options(parser)


def execute(invocation: Invocation) -> int:
    import anyio
    import msgspec

    from server.app import open_ports
    from server.commands.engine import log_to_file
    from server.reviewing import review_workspace

    args, terminal = invocation.args, invocation.terminal
    root = invocation.workspace()
    settings, trusted = invocation.settings(root, {"model": args.model})
    log_to_file(root, settings, invocation.environ)
    model = None if args.no_model else settings.model

    async def main() -> int:
        async with open_ports(root, settings=settings, trusted=trusted, environ=invocation.environ) as ports:
            reviewed = await review_workspace(ports, args.base, model)
        notes = [*reviewed.review.notes, *([reviewed.unasked] if reviewed.unasked else [])]
        for note in notes:
            terminal.remark("note: ", note)
        findings = reviewed.review.findings
        code = 1 if findings or reviewed.unasked else 0
        for finding in findings:
            terminal.emit({"type": "finding", **msgspec.to_builtins(finding)})
            _say(terminal, finding)
        terminal.emit(
            {
                "type": "review_finished",
                "base": reviewed.base,
                "files": reviewed.files,
                "findings": len(findings),
                "notes": notes,
                "exitCode": code,
            }
        )
        _conclude(terminal, reviewed.base, reviewed.files, len(findings))
        return code

    return anyio.run(main)


def _say(terminal: "Terminal", finding: "Finding") -> None:
    place = f"{finding.path}:{finding.start_line + 1}:{finding.start_column + 1}"
    terminal.say(
        (place, "bold"),
        "  ",
        (finding.severity, _STYLES.get(finding.severity, "")),
        f" {finding.tool} {finding.rule}  {finding.message}",
    )
    for text in finding.evidence.splitlines()[:5]:
        terminal.say(("    │ ", "dim"), (text, "dim"))


def _conclude(terminal: "Terminal", base: str, files: int, findings: int) -> None:
    from server.terminal import figures

    against = (
        f"the difference to {base[:10]}"
        if base
        else "the whole workspace (there is no commit to compare with)"
    )
    style = "bold yellow" if findings else "bold green"
    terminal.say(
        (figures.several(findings, "finding"), style), f" in {against}: {figures.several(files, 'file')}"
    )
