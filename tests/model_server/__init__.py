"""A local server that speaks the OpenAI chat-completions wire, for tests and measurements.

`ModelServer(script)` runs it inside a test, `python -m tests.model_server` as a process of its own. What the
model says is up to a `Script`; `Solver`, `Echo`, `Editor` and the faults come with it.
"""

from tests.model_server.echo import Echo, Editor
from tests.model_server.replies import (
    Answer,
    Drop,
    End,
    Gate,
    Plain,
    Prepared,
    Reply,
    Script,
    Stream,
    ToolCall,
    Usage,
)
from tests.model_server.requests import ModelRequest, Records
from tests.model_server.running import ModelServer
from tests.model_server.solver import Solver

__all__ = [
    "Answer",
    "Drop",
    "Echo",
    "Editor",
    "End",
    "Gate",
    "ModelRequest",
    "ModelServer",
    "Plain",
    "Prepared",
    "Records",
    "Reply",
    "Script",
    "Solver",
    "Stream",
    "ToolCall",
    "Usage",
]
