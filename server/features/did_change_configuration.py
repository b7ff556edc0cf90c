"""`workspace/didChangeConfiguration`: settings of the editor, for runs started from now on."""

from typing import Any

from server.host import Host

PARAMS = None


async def handle(host: Host, params: Any) -> None:
    """Clients that answer `workspace/configuration` say here only that something is different."""
    if host.client.profile.configuration:
        await host.ask_for_settings()
        return
    settings = params.get("settings") if isinstance(params, dict) else None
    if isinstance(settings, dict):
        ours = settings.get("antiphon", settings)
        if isinstance(ours, dict):
            host.session.answered_settings(ours)
