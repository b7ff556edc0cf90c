"""Events as a run makes them: the intent of a turn, small, and its result with 1 kB of text."""

from orchestration.events import Event, RunOptions, TurnCompleted, TurnStarted
from providers.messages import Message, Text
from providers.usage import Usage

OPTIONS = RunOptions(model="openai/bench")
EVENTS: dict[str, Event] = {
    "intent": TurnStarted(task_id="task-100", attempt=1, turn=2),
    "result": TurnCompleted(
        task_id="task-100",
        attempt=1,
        turn=2,
        message=Message("assistant", (Text("some text " * 102),)),
        stop="end",
        usage=Usage(),
        model="bench",
    ),
}
