"""The events of a run: the closed union that the journal stores and the wire carries.

State events are journaled, numbered, and then published; the state of a run is their fold (`fold.py`)
and nothing else. `Delta` is ephemeral: never journaled, may be dropped. A journaled event and its wire
form are the same JSON (camelCase, the tag in `type`), so fields are only ever added, with defaults.
The events themselves are in a module for each topic; everyone imports them from here.
"""

from collections.abc import Callable

import msgspec

from orchestration.events.base import (
    LeftOut,
)
from orchestration.events.of_agents import AgentFinished, AgentSession, AgentStarted, AgentUsage
from orchestration.events.of_checkpoints import (
    CheckpointBefore,
    CheckpointTaken,
    Outside,
    RestoreFinished,
    RestoreRecorded,
)
from orchestration.events.of_checks import (
    ApprovalRequested,
    ApprovalResolved,
    FindingDismissed,
    FindingReported,
    GateFinished,
    GateOutcome,
)
from orchestration.events.of_review import (
    ChangesProposed,
    Decision,
    DecisionApplied,
    DecisionRecorded,
    FileIntent,
    FileNoted,
    FileOutcome,
    FileResult,
    HunkPart,
    HunkSeen,
    HunksSeen,
    UndoRecorded,
)
from orchestration.events.of_runs import (
    ApprovalMode,
    Budget,
    BudgetExhausted,
    CancelRequested,
    DefinitionsPinned,
    PlanAccepted,
    PlanMode,
    PlanProposed,
    PlanRefused,
    RunCreated,
    RunEnd,
    RunFinished,
    RunOptions,
    RunOwned,
    SnapshotTaken,
)
from orchestration.events.of_tasks import (
    AttemptFailed,
    AttemptFailure,
    TaskAdded,
    TaskCancelled,
    TaskDead,
    TaskMerged,
    TaskResumed,
    TaskRetried,
    TaskSkipped,
    TaskStarted,
    TaskWaiting,
    ToolFinished,
    ToolStarted,
    TurnCompleted,
    TurnFailed,
    TurnStarted,
)

__all__ = [
    "AgentFinished",
    "AgentSession",
    "AgentStarted",
    "AgentUsage",
    "ApprovalMode",
    "ApprovalRequested",
    "ApprovalResolved",
    "AttemptFailed",
    "AttemptFailure",
    "Budget",
    "BudgetExhausted",
    "CancelRequested",
    "ChangesProposed",
    "CheckpointBefore",
    "CheckpointTaken",
    "Decision",
    "DecisionApplied",
    "DecisionRecorded",
    "DefinitionsPinned",
    "Delta",
    "Event",
    "FileIntent",
    "FileNoted",
    "FileOutcome",
    "FileResult",
    "FindingDismissed",
    "FindingReported",
    "GateFinished",
    "GateOutcome",
    "HunkPart",
    "HunkSeen",
    "HunksSeen",
    "LeftOut",
    "Outside",
    "PlanAccepted",
    "PlanMode",
    "PlanProposed",
    "PlanRefused",
    "Record",
    "RestoreFinished",
    "RestoreRecorded",
    "RunCreated",
    "RunEnd",
    "RunFinished",
    "RunOptions",
    "RunOwned",
    "SnapshotTaken",
    "TaskAdded",
    "TaskCancelled",
    "TaskDead",
    "TaskMerged",
    "TaskResumed",
    "TaskRetried",
    "TaskSkipped",
    "TaskStarted",
    "TaskWaiting",
    "ToolFinished",
    "ToolStarted",
    "TurnCompleted",
    "TurnFailed",
    "TurnStarted",
    "UndoRecorded",
    "decode",
    "encode",
]

Event = (
    RunCreated
    | RunOwned
    | DefinitionsPinned
    | SnapshotTaken
    | PlanProposed
    | PlanRefused
    | PlanAccepted
    | BudgetExhausted
    | CancelRequested
    | RunFinished
    | TaskAdded
    | TaskStarted
    | TaskWaiting
    | TaskResumed
    | TaskRetried
    | AttemptFailed
    | TaskMerged
    | TaskDead
    | TaskSkipped
    | TaskCancelled
    | TurnStarted
    | TurnCompleted
    | TurnFailed
    | ToolStarted
    | ToolFinished
    | AgentStarted
    | AgentSession
    | AgentUsage
    | AgentFinished
    | ApprovalRequested
    | ApprovalResolved
    | GateFinished
    | FindingReported
    | FindingDismissed
    | ChangesProposed
    | DecisionRecorded
    | DecisionApplied
    | UndoRecorded
    | CheckpointTaken
    | RestoreRecorded
    | RestoreFinished
    | FileNoted
    | HunksSeen
)


class Record(msgspec.Struct, frozen=True):
    """A journaled event with its place: `seq` counts from 1 within the run, `time` is Unix seconds."""

    seq: int
    time: float
    event: Event


class Delta(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A piece of a streaming answer; `seq` is that of the last state event before it. `restart`: the call
    is made again, what was shown of this answer so far is void. `until` (with an empty text): the call waits until
    about then (Unix seconds) for what `reason` says.
    """

    task_id: str
    text: str
    seq: int
    restart: bool = False
    until: float = 0.0
    reason: str = ""


encode: Callable[[Event], bytes] = msgspec.json.Encoder().encode
"""The event's JSON, as journaled."""

_DECODER: msgspec.json.Decoder[Event] = msgspec.json.Decoder(Event)


def decode(body: bytes | str) -> Event:
    """Raises msgspec.ValidationError when `body` is no event of this version."""
    return _DECODER.decode(body)
