"""`antiphon/health`: memory, children, queues and how commands are confined."""

import os
import resource
import sys
from pathlib import Path

from server.handshake import VERSION
from server.health_report import ChildProcess, HealthResult, QueueSizes
from server.host import Host
from server.to_lsp import uri_of

PARAMS = None


async def handle(host: Host, params: object) -> HealthResult:
    del params
    composition = await host.workspaces.composition()
    return HealthResult(
        version=VERSION,
        pid=os.getpid(),
        rss=_rss(),
        children=_children(),
        queues=QueueSizes(
            outgoing_bytes=host.client.pending_bytes,
            subscriptions=len(host.subscriptions.runs),
            progress_tokens=host.presenter.progress.open_tokens,
            open_questions=host.presenter.approvals.open_questions,
        ),
        sandbox_tier=composition.sandbox_tier(),
        workspaces=tuple(uri_of(workspace.root) for workspace in host.workspaces.all_open()),
        documents=len(host.session.documents()),
    )


def _rss() -> int:
    """Bytes now where the system says so, else the most there ever were."""
    try:
        pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
        return pages * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


def _children() -> tuple[ChildProcess, ...]:
    """Direct children, where the system lists them."""
    found: list[ChildProcess] = []
    for task in Path("/proc/self/task").glob("*/children"):
        try:
            pids = task.read_text("ascii").split()
        except OSError:
            continue
        found += [ChildProcess(pid=int(pid), command=_command(pid)) for pid in pids]
    return tuple(found)


def _command(pid: str) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text("utf-8", "replace").strip()
    except OSError:
        return "ended"
