"""Events of an external agent at work on a task: a program with its own tool loop, in its own checkout.

An attempt by one is a turn like a model's (`turn_started`, `tool_finished`, `turn_completed`), so that
transcripts show it; these events hold what only an agent has.
"""

from orchestration.events.base import StateEvent
from providers.usage import Usage


class AgentStarted(StateEvent, frozen=True, kw_only=True, tag="agent_started"):
    """The intent to start an agent. `form` is how it is driven (`command`, `acp`), `session` an earlier session
    it is to go on with, `tree` what its checkout holds, `hidden` the paths of the tree that are kept from it.
    """

    task_id: str
    attempt: int
    turn: int
    agent: str
    form: str
    tree: str
    model: str = ""
    session: str = ""
    hidden: tuple[str, ...] = ()


class AgentSession(StateEvent, frozen=True, kw_only=True, tag="agent_session"):
    """The agent told the id by which it would go on with its work."""

    task_id: str
    attempt: int
    session: str


class AgentUsage(StateEvent, frozen=True, kw_only=True, tag="agent_usage"):
    """What the agent has spent since it last said so."""

    task_id: str
    attempt: int
    usage: Usage


class AgentFinished(StateEvent, frozen=True, kw_only=True, tag="agent_finished"):
    """The agent has ended and nothing of it is alive. `tree` is the difference it left, taken from the disk;
    `denied` what it was not allowed to do. `usage` is what no `agent_usage` held; `usage_incomplete`: it ended
    before it could tell, so what is known is a lower bound.
    """

    task_id: str
    attempt: int
    ok: bool
    tree: str = ""
    denied: tuple[str, ...] = ()
    detail: str = ""
    usage: Usage = Usage()
    usage_incomplete: bool = False
