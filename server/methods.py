"""Which methods the server speaks and where each is handled: names only, so that `initialize` stays cheap.

A handler is the module `server.features.<name>`; it is imported when its method is first used.
"""

from functools import cache

PROTOCOL_VERSION = 1
PREFIX = "antiphon/"
COMMAND_PREFIX = "antiphon.server."
# Of the URIs of virtual documents.
SCHEME = "antiphon"

STANDARD = {
    "textDocument/didOpen": "did_open",
    "textDocument/didChange": "did_change",
    "textDocument/didSave": "did_save",
    "textDocument/didClose": "did_close",
    "textDocument/codeLens": "code_lens",
    "textDocument/codeAction": "code_action",
    "codeAction/resolve": "code_action_resolve",
    "textDocument/diagnostic": "document_diagnostic",
    "workspace/diagnostic": "workspace_diagnostic",
    "workspace/textDocumentContent": "text_document_content",
    "workspace/executeCommand": "execute_command",
    "workspace/didChangeWorkspaceFolders": "did_change_workspace_folders",
    "workspace/didChangeWatchedFiles": "did_change_watched_files",
    "workspace/didChangeConfiguration": "did_change_configuration",
    "window/workDoneProgress/cancel": "work_done_progress_cancel",
    "$/setTrace": "set_trace",
}

CUSTOM = {
    "antiphon/run/start": "run_start",
    "antiphon/run/cancel": "run_cancel",
    "antiphon/run/list": "run_list",
    "antiphon/run/read": "run_read",
    "antiphon/run/resume": "run_resume",
    "antiphon/run/subscribe": "run_subscribe",
    "antiphon/plan/decide": "plan_decide",
    "antiphon/changes/read": "changes_read",
    "antiphon/changes/diff": "changes_diff",
    "antiphon/changes/content": "changes_content",
    "antiphon/changes/decide": "changes_decide",
    "antiphon/changes/undo": "changes_undo",
    "antiphon/checkpoint/list": "checkpoint_list",
    "antiphon/checkpoint/diff": "checkpoint_diff",
    "antiphon/checkpoint/restore": "checkpoint_restore",
    "antiphon/approval/resolve": "approval_resolve",
    "antiphon/finding/list": "finding_list",
    "antiphon/finding/fix": "finding_fix",
    "antiphon/finding/dismiss": "finding_dismiss",
    "antiphon/trust/set": "trust_set",
    "antiphon/usage/read": "usage_read",
    "antiphon/models/list": "models_list",
    "antiphon/key/set": "key_set",
    "antiphon/health": "health",
}

# What the server sends: notifications, questions to the user, and questions to the client's secret store.
EVENT = "antiphon/event"
APPROVAL_REQUEST = "antiphon/approval/request"
APPROVAL_RESOLVED = "antiphon/approval/resolved"
SECRETS_GET = "antiphon/secrets/get"
SECRETS_STORE = "antiphon/secrets/store"
SECRETS_DELETE = "antiphon/secrets/delete"


@cache
def command_of(method: str) -> str:
    """`antiphon/run/start` as an LSP command: `antiphon.server.run.start`."""
    return COMMAND_PREFIX + method.removeprefix(PREFIX).replace("/", ".")


def method_of(command: str) -> str | None:
    """The custom method behind a command id, None when there is none."""
    if not command.startswith(COMMAND_PREFIX):
        return None
    method = PREFIX + command.removeprefix(COMMAND_PREFIX).replace(".", "/")
    return method if method in CUSTOM else None


COMMANDS = tuple(command_of(method) for method in CUSTOM)
