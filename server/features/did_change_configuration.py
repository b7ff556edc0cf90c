"""`workspace/didChangeConfiguration`: settings of the editor, for runs started from now on."""

from typing import Any

from server.host import Host

PARAMS = None


def handle(host: Host, params: Any) -> None:
    settings = params.get("settings") if isinstance(params, dict) else None
    if isinstance(settings, dict):
        ours = settings.get("antiphon", settings)
        host.session.editor_settings = ours if isinstance(ours, dict) else {}
