"""The commands of `antiphon`, one file each. This table is all that `antiphon --help` needs to load.

A command's module has `EXAMPLES` (text), `configure(parser)` and `execute(invocation) -> exit code`.
"""

from collections.abc import Mapping

COMMANDS: Mapping[str, str] = {
    "run": "carry out a goal: plan, agents in parallel, gates, a change set to review",
    "resume": "go on with a run that was interrupted, cancelled or came to an end early",
    "runs": "list the runs of a workspace",
    "show": "show a run: its tasks, gates, attempts and costs",
    "dead-letters": "show what failed for good in a run, attempt by attempt",
    "retry": "try dead letters again, with another model or a word of yours",
    "cancel": "cancel a run, also one of another process",
    "changes": "show what a run proposes, hunk by hunk",
    "accept": "write hunks of a run to your files",
    "reject": "turn hunks of a run down; writes nothing",
    "undo": "take a decision back",
    "checkpoints": "list the states of the workspace that can be had back",
    "restore": "make the workspace, or some files, as a checkpoint has them",
    "review": "analyze the difference to a revision",
    "apply-edits": "apply edits of a model, read from standard input",
    "trust": "trust a workspace, or stop trusting it",
    "models": "list the models that can be used now, with windows and prices",
    "doctor": "say what was found and what is missing",
    "gc": "remove old runs and what nothing refers to any more",
    "demo": "see a whole run without a key, in a folder of its own",
    "serve": "speak the Language Server Protocol on standard input and output",
}


def module_name(command: str) -> str:
    return f"server.commands.{command.replace('-', '_')}"
