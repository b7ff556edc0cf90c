"""What `antiphon/health` answers. Apart from the other results, so that asking for it loads nothing."""

import msgspec


class _Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    pass


class ChildProcess(_Report, frozen=True, kw_only=True):
    pid: int
    command: str


class QueueSizes(_Report, frozen=True, kw_only=True):
    outgoing_bytes: int
    subscriptions: int
    progress_tokens: int
    open_questions: int


class HealthResult(_Report, frozen=True, kw_only=True):
    """`rss` and `outgoingBytes` in bytes."""

    version: str
    pid: int
    rss: int
    children: tuple[ChildProcess, ...]
    queues: QueueSizes
    sandbox_tier: str
    workspaces: tuple[str, ...]
    documents: int
