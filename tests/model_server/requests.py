"""A request as it came over the wire, and the record of all of them.

The body is kept as bytes and parsed when somebody asks: a script that never looks pays nothing.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import cached_property
from typing import Any

_SECRET_HEADERS = frozenset({"authorization", "api-key", "x-api-key"})


class ModelRequest:
    """One HTTP request. Only the server writes `finished_at` and `closed_early`."""

    def __init__(self, *, index: int, method: str, path: str, headers: dict[str, str], raw: bytes) -> None:
        self.index = index
        """Counts the completions from 0 in order of arrival; -1 for every other request."""
        self.method = method
        self.path = path
        self.headers = {name: value for name, value in headers.items() if name not in _SECRET_HEADERS}
        """Names in lower case; the ones that carry a key are left out."""
        self.raw = raw
        self.arrived_at = time.monotonic()
        """Seconds of the monotonic clock."""
        self.finished_at: float | None = None
        self.status: int | None = None
        self.closed_early = False
        """The client closed the connection while it still had an answer to come."""

    @cached_property
    def body(self) -> dict[str, Any]:
        """The parsed body. ValueError when it is no JSON object."""
        parsed = json.loads(self.raw)
        if not isinstance(parsed, dict):
            raise ValueError("the body is no JSON object")  # noqa: TRY004 - the caller treats both alike
        return parsed

    @property
    def messages(self) -> list[dict[str, Any]]:
        messages = self.body.get("messages", [])
        return messages if isinstance(messages, list) else []

    @property
    def tool_names(self) -> list[str]:
        """The names of the tools on offer, in their order."""
        return [tool["function"]["name"] for tool in self.body.get("tools") or ()]

    @property
    def streams(self) -> bool:
        return self.body.get("stream") is True

    @property
    def wants_usage(self) -> bool:
        return bool((self.body.get("stream_options") or {}).get("include_usage"))

    @cached_property
    def first_user_text(self) -> str:
        """The text of the first user message, empty without one."""
        for message in self.messages:
            if message.get("role") == "user":
                return text_of(message)
        return ""

    @cached_property
    def title(self) -> str:
        """The first line of the first user message: the title of the task."""
        return self.first_user_text.partition("\n")[0].strip()

    @property
    def turn(self) -> int:
        """How many answers of the model the conversation holds already."""
        return sum(message.get("role") == "assistant" for message in self.messages)

    def tool_results(self) -> dict[str, str]:
        """The texts of the tool messages by call id."""
        return {str(m.get("tool_call_id")): text_of(m) for m in self.messages if m.get("role") == "tool"}

    def summary(self) -> dict[str, Any]:
        """A JSON value for another process."""
        try:
            body: Any = self.body
        except ValueError:
            body = self.raw.decode(errors="replace")
        return {
            "index": self.index,
            "method": self.method,
            "path": self.path,
            "headers": self.headers,
            "body": body,
            "arrivedAt": self.arrived_at,
            "finishedAt": self.finished_at,
            "status": self.status,
            "closedEarly": self.closed_early,
        }


def text_of(message: dict[str, Any]) -> str:
    """The text of a message, whether its content is a string or a list of parts."""
    content = message.get("content")
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


class Records:
    """Every request so far. All methods may be called from any thread."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._requests: list[ModelRequest] = []
        self._open = 0
        self._most_open = 0

    def begin(self, request: ModelRequest) -> None:
        with self._changed:
            self._requests.append(request)
            self._open += 1
            self._most_open = max(self._most_open, self._open)
            self._changed.notify_all()

    def end(self, request: ModelRequest, *, closed_early: bool) -> None:
        with self._changed:
            request.finished_at = time.monotonic()
            request.closed_early = closed_early
            self._open -= 1
            self._changed.notify_all()

    def all(self) -> list[ModelRequest]:
        with self._changed:
            return list(self._requests)

    def completions(self) -> list[ModelRequest]:
        """The requests for a completion, refused ones included, in order of arrival."""
        return [request for request in self.all() if request.index >= 0]

    def of_task(self, title: str) -> list[ModelRequest]:
        return [request for request in self.completions() if request.title == title]

    def calls_by_task(self) -> dict[str, int]:
        """How often the model was asked for each title."""
        return dict(Counter(request.title for request in self.completions()))

    def attempts_by_task(self) -> dict[str, int]:
        """How many conversations began for each title."""
        return dict(Counter(request.title for request in self.completions() if request.turn == 0))

    @property
    def open_now(self) -> int:
        with self._changed:
            return self._open

    @property
    def most_open(self) -> int:
        """The largest number of requests that were open at once."""
        with self._changed:
            return self._most_open

    def wait_for(self, condition: Callable[["Records"], object], *, timeout_s: float = 20.0) -> None:
        """Blocks until the condition holds; it is asked again after every change. TimeoutError else."""
        deadline = time.monotonic() + timeout_s
        while True:
            with self._changed:
                seen = (len(self._requests), self._open)
            if condition(self):
                return
            left = deadline - time.monotonic()
            with self._changed:
                if seen == (len(self._requests), self._open) and not self._changed.wait(left):
                    raise TimeoutError(
                        f"not so within {timeout_s} s; {seen[0]} requests came, {seen[1]} are open"
                    )

    def wait_for_completions(self, count: int, *, timeout_s: float = 20.0) -> None:
        """Blocks until so many completions were asked for. TimeoutError else."""
        self.wait_for(lambda records: len(records.completions()) >= count, timeout_s=timeout_s)

    def wait_until_idle(self, *, timeout_s: float = 20.0) -> None:
        """Blocks until no request is open. TimeoutError else."""
        self.wait_for(lambda records: records.open_now == 0, timeout_s=timeout_s)
