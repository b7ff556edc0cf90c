"""A model that does what a test tells it, over the real wire, and what it was told in return."""

from collections.abc import Mapping, Sequence

from tests.model_server.replies import Answer, Gate, Reply, ToolCall
from tests.model_server.requests import ModelRequest, text_of


class Told:
    """`turns`: for each title the calls of every turn; `finish` follows by itself, as it does for every other title.

    `gates` hold back the answers of a title until they are released. `plan` answers whoever may call `submit_plan`.
    All three may be changed between runs.
    """

    def __init__(
        self,
        turns: Mapping[str, Sequence[Sequence[ToolCall]]] | None = None,
        *,
        plan: Sequence[ToolCall] = (),
    ) -> None:
        self.turns = dict(turns or {})
        self.plan = list(plan)
        self.gates: dict[str, Gate] = {}
        self.instead: dict[str, Reply] = {}
        """Another reply than an answer, for a title."""

    def respond(self, request: ModelRequest, /) -> Reply:
        gate = self.gates.get(request.title)
        if "submit_plan" in request.tool_names:
            submitted = self.plan[min(request.turn, len(self.plan) - 1)]
            return Answer(calls=(submitted,), gate=gate)
        if request.title in self.instead:
            return self.instead[request.title]
        turns = self.turns.get(request.title, ())
        if request.turn < len(turns):
            return Answer(calls=tuple(turns[request.turn]), gate=gate)
        return Answer(calls=(ToolCall("finish", {"summary": "Done."}),), gate=gate)


def told_in_return(requests: Sequence[ModelRequest]) -> list[str]:
    """The results of all tool calls of one task, in the order of the calls, as its last request holds them."""
    return [text_of(message) for message in requests[-1].messages if message.get("role") == "tool"]
