"""The scripted provider: deterministic answers from a YAML file, for the demo, tests and trying things out.

A script is a list of rules; the first rule that matches a call and is not used up answers it:

    - match: {role: coder, task: parse, attempt: 1, turn: 1}
      answer:
        text: I read the module first.
        tool_calls:
          - {name: read_file, arguments: {path: parse.py}}
        delay_s: 0.2
      times: 1
    - match: {pattern: "(?i)assertionerror"}
      fault: {kind: rate_limit, retry_after: 2}
    - answer: {text: Done., usage: {input_tokens: 900, output_tokens: 12}}

`match` (all given must hold; each of the first five is one value or a list of them):
    role, task, title, attempt, turn    against the labels of the request; `task` is the task's id
    text                                this text occurs in the last user or tool message
    pattern                             this regular expression is found there
`answer`:
    text, tool_calls                    `arguments` is a mapping, or a string sent as it stands
    delay_s                             seconds before the answer
    usage                               else one token for every four characters, 0 USD unless priced
    stop                                end | tool_calls | length | content_filter | other
`fault`:
    kind                                one of FAULTS, or `hang`: no answer until the call is cancelled
    retry_after                         seconds, as a server would send it
    message                             else a sentence that names the fault
`times`: how often the rule may answer before it is passed over. With `answer` and `fault` together the
text is streamed and then the fault strikes. No matching rule is a BadResponseError that names the labels.
"""

import re
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from providers import errors
from providers.base import ModelProfile, OnDelta
from providers.messages import Answer, Message, Request, StopReason, Text, TextDelta, ToolCall, ToolResult
from providers.profiles import priced
from providers.usage import Usage

FAULTS: dict[str, type[errors.ProviderError]] = {
    "authentication": errors.AuthenticationError,
    "permission": errors.PermissionDeniedError,
    "not_found": errors.ModelNotFoundError,
    "invalid_request": errors.InvalidRequestError,
    "context_overflow": errors.ContextOverflowError,
    "rate_limit": errors.RateLimitError,
    "quota": errors.QuotaExhaustedError,
    "overloaded": errors.OverloadedError,
    "connection": errors.ConnectionFailedError,
    "timeout": errors.ProviderTimeoutError,
    "bad_response": errors.BadResponseError,
    "refusal": errors.RefusalError,
}
HANG = "hang"
PIECES = 4  # how many deltas an answer's text is streamed in

Sleep = Callable[[float], Awaitable[None]]


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    role: str | list[str] | None = None
    task: str | list[str] | None = None
    title: str | list[str] | None = None
    attempt: int | list[int] | None = None
    turn: int | list[int] | None = None
    text: str | None = None
    pattern: str | None = None

    def holds(self, request: Request, last_text: str) -> bool:
        labels = request.labels
        if not (
            _allows(self.role, labels.role)
            and _allows(self.task, labels.task_id)
            and _allows(self.title, labels.title)
            and _allows(self.attempt, labels.attempt)
            and _allows(self.turn, labels.turn)
        ):
            return False
        if self.text is not None and self.text not in last_text:
            return False
        return self.pattern is None or re.search(self.pattern, last_text) is not None


class ScriptedCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    arguments: dict[str, Any] | str = {}


class ScriptedAnswer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    text: str = ""
    tool_calls: list[ScriptedCall] = []
    delay_s: float = 0.0
    usage: Usage | None = None
    stop: StopReason | None = None


class ScriptedFault(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    kind: str
    retry_after: float | None = None
    message: str | None = None


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    match: Match = Match()
    answer: ScriptedAnswer | None = None
    fault: ScriptedFault | None = None
    times: int | None = None


Script = tuple[Rule, ...]


def parse_script(text: str, *, source: str) -> Script:
    """`source` names the script in errors. Raises ProviderConfigurationError with the place and the mend."""
    import yaml  # 25 ms, and only who uses a script pays for it

    loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        raw = yaml.load(text, Loader=loader)  # noqa: S506 - both loaders are the safe ones
    except yaml.YAMLError as error:
        raise errors.ProviderConfigurationError(f"{source} is not valid YAML: {error}") from error
    try:
        script = msgspec.convert(raw, Script)
    except msgspec.ValidationError as error:
        raise errors.ProviderConfigurationError(f"{source}: {error} (a script is a list of rules)") from error
    for number, rule in enumerate(script, 1):
        _check(rule, f"{source}: rule {number}")
    return script


class ScriptedProvider:
    """Answers from a script. Calls count against `times` in the order in which they arrive.

    `sleep` is used for delays, so that a test or a simulator owns time.
    """

    def __init__(
        self,
        script: Sequence[Rule],
        *,
        sleep: Sleep,
        profiles: Callable[[str], ModelProfile] | None = None,
        name: str = "scripted",
    ) -> None:
        self._script = tuple(script)
        self._used = [0] * len(self._script)
        self._sleep = sleep
        self._profiles = profiles
        self._name = name

    @classmethod
    def load(
        cls, path: Path, *, sleep: Sleep, profiles: Callable[[str], ModelProfile] | None = None
    ) -> "ScriptedProvider":
        """Raises ProviderConfigurationError when the file cannot be read or is no script."""
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise errors.ProviderConfigurationError(f"cannot read the script {path}: {error}") from error
        return cls(parse_script(text, source=str(path)), sleep=sleep, profiles=profiles)

    @property
    def name(self) -> str:
        return self._name

    def profile(self, model: str) -> ModelProfile:
        return ModelProfile() if self._profiles is None else self._profiles(model)

    async def complete(self, request: Request, *, on_delta: OnDelta | None = None) -> Answer:
        rule = self._next_rule(request)
        answer = rule.answer or ScriptedAnswer()
        if answer.delay_s > 0:
            await self._sleep(answer.delay_s)
        if on_delta is not None:
            for piece in _pieces(answer.text):
                on_delta(TextDelta(piece))
        if rule.fault is not None:
            await self._strike(rule.fault, begun=bool(answer.text))
        return self._answer(request, answer)

    async def aclose(self) -> None:
        """Nothing is held open."""

    def _next_rule(self, request: Request) -> Rule:
        last_text = _last_text(request)
        for index, rule in enumerate(self._script):
            if rule.times is not None and self._used[index] >= rule.times:
                continue
            if rule.match.holds(request, last_text):
                self._used[index] += 1
                return rule
        labels = request.labels
        raise errors.BadResponseError(
            f"no rule of the script answers this call: role={labels.role!r} task={labels.task_id!r} "
            f"title={labels.title!r} attempt={labels.attempt} turn={labels.turn} "
            f"last message={last_text[:80]!r}; add a rule that matches it, or one without `match` at the end",
            retryable=False,
        )

    async def _strike(self, fault: ScriptedFault, *, begun: bool) -> NoReturn:
        while fault.kind == HANG:
            await self._sleep(3600.0)
        message = fault.message or f"the script plays the fault {fault.kind!r}"
        # Set afterwards: the constructor of ContextOverflowError takes counts, no delay.
        error = FAULTS[fault.kind](message)
        error.retry_after = fault.retry_after
        error.answer_begun = begun
        raise error

    def _answer(self, request: Request, answer: ScriptedAnswer) -> Answer:
        labels = request.labels
        calls = tuple(
            ToolCall(f"call_{labels.attempt}_{labels.turn}_{index}", call.name, _raw(call.arguments))
            for index, call in enumerate(answer.tool_calls)
        )
        text = (Text(answer.text),) if answer.text else ()
        usage = answer.usage
        if usage is None:
            written = len(answer.text) + sum(len(call.name) + len(call.arguments) for call in calls)
            usage = Usage(_quarter(sum(_length(message) for message in request.messages)), _quarter(written))
        prices = self.profile(request.model).prices
        return Answer(
            Message("assistant", text + calls),
            answer.stop or ("tool_calls" if calls else "end"),
            usage if prices is None else priced(usage, prices),
            model=request.model,
        )


def _check(rule: Rule, where: str) -> None:
    if rule.answer is None and rule.fault is None:
        raise errors.ProviderConfigurationError(f"{where} has neither `answer` nor `fault`")
    if rule.fault is not None and rule.fault.kind not in FAULTS and rule.fault.kind != HANG:
        kinds = ", ".join([*FAULTS, HANG])
        raise errors.ProviderConfigurationError(
            f"{where}: unknown fault {rule.fault.kind!r}; known are {kinds}"
        )
    if rule.match.pattern is not None:
        try:
            re.compile(rule.match.pattern)
        except re.error as error:
            raise errors.ProviderConfigurationError(
                f"{where}: `pattern` is no regular expression: {error}"
            ) from error


def _allows(allowed: str | int | list[str] | list[int] | None, value: str | int) -> bool:
    if allowed is None:
        return True
    return value in allowed if isinstance(allowed, list) else value == allowed


def _last_text(request: Request) -> str:
    for message in reversed(request.messages):
        if message.role in {"user", "tool"}:
            return "\n".join(part.text for part in message.parts if isinstance(part, Text | ToolResult))
    return ""


def _length(message: Message) -> int:
    return sum(
        len(part.name) + len(part.arguments) if isinstance(part, ToolCall) else len(part.text)
        for part in message.parts
        if isinstance(part, Text | ToolResult | ToolCall)
    )


def _quarter(characters: int) -> int:
    return -(-characters // 4)


def _pieces(text: str) -> list[str]:
    size = max(1, -(-len(text) // PIECES))
    return [text[start : start + size] for start in range(0, len(text), size)]


def _raw(arguments: dict[str, Any] | str) -> str:
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
