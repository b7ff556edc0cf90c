"""What the real API refuses: a conversation that is malformed never reaches a script."""

import re
from typing import Any

from tests.model_server.replies import Plain
from tests.model_server.wire import error

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ROLES = ("system", "developer", "user", "assistant", "tool")
_PARAMETERS = frozenset(
    [
        "messages",
        "model",
        "audio",
        "frequency_penalty",
        "function_call",
        "functions",
        "logit_bias",
        "logprobs",
        "max_completion_tokens",
        "max_tokens",
        "metadata",
        "modalities",
        "n",
        "parallel_tool_calls",
        "prediction",
        "presence_penalty",
        "prompt_cache_key",
        "prompt_cache_retention",
        "reasoning_effort",
        "response_format",
        "safety_identifier",
        "seed",
        "service_tier",
        "stop",
        "store",
        "stream",
        "stream_options",
        "temperature",
        "tool_choice",
        "tools",
        "top_logprobs",
        "top_p",
        "user",
        "verbosity",
        "web_search_options",
    ]
)


class Refused(Exception):  # noqa: N818 - reads as the outcome it is
    """The body breaks a rule of the API; `reply` says which."""

    def __init__(self, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.reply: Plain = error(400, message, param=param)


def check(body: dict[str, Any]) -> None:
    """Raises Refused for the first broken rule."""
    for name in body:
        if name not in _PARAMETERS:
            raise Refused(f"Unrecognized request argument supplied: {name}", name)
    if not isinstance(body.get("model"), str) or not body["model"]:
        raise Refused("you must provide a model parameter", "model")
    stream = body.get("stream", False)
    if stream not in (True, False, None):
        raise Refused("'stream' must be a boolean", "stream")
    if body.get("stream_options") is not None and stream is not True:
        raise Refused(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.", "stream_options"
        )
    for name in ("max_tokens", "max_completion_tokens"):
        value = body.get(name)
        if value is not None and (not isinstance(value, int) or value < 1):
            raise Refused(f"Invalid '{name}': expected a value >= 1", name)
    _check_tools(body)
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused("Invalid 'messages': empty array. Expected an array with minimum length 1.", "messages")
    _check_conversation(messages)


def _check_tools(body: dict[str, Any]) -> None:
    tools = body.get("tools")
    if tools is None:
        for parameter in ("tool_choice", "parallel_tool_calls"):
            if body.get(parameter) is not None:
                raise Refused(f"'{parameter}' is only allowed when 'tools' are specified.", parameter)
        return
    if not isinstance(tools, list) or not tools:
        raise Refused("Invalid 'tools': empty array. Expected an array with minimum length 1.", "tools")
    names: set[str] = set()
    for position, tool in enumerate(tools):
        where = f"tools[{position}]"
        function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
        if not isinstance(function, dict):
            raise Refused(f"Missing required parameter: '{where}.function'.", where)
        name = function.get("name")
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise Refused(f"Invalid '{where}.function.name': {name!r}", f"{where}.function.name")
        if name in names:
            raise Refused(f"Tool names must be unique: {name!r} is there twice.", where)
        names.add(name)
        parameters = function.get("parameters", {"type": "object"})
        if not isinstance(parameters, dict) or parameters.get("type") != "object":
            raise Refused(f"Invalid schema for function '{name}': type must be \"object\".", where)


def _check_conversation(messages: list[Any]) -> None:
    """Every call is answered once, directly after the message that made it, and nothing else is."""
    unanswered: set[str] = set()
    for position, message in enumerate(messages):
        where = f"messages.[{position}]"
        if not isinstance(message, dict) or message.get("role") not in _ROLES:
            raise Refused(f"Invalid value for '{where}.role'", f"{where}.role")
        role = message["role"]
        _check_content(message, where)
        if role == "tool":
            answered = message.get("tool_call_id")
            if answered not in unanswered:
                raise Refused(
                    "Invalid parameter: messages with role 'tool' must be a response to a preceeding message"
                    f" with 'tool_calls' ({answered!r}).",
                    f"{where}.role",
                )
            unanswered.discard(answered)
            continue
        if unanswered:
            break
        if role == "assistant":
            unanswered = _calls_of(message, where)
    if unanswered:
        raise Refused(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each"
            f" 'tool_call_id'. The following tool_call_ids did not have response messages: {sorted(unanswered)}",
            "messages",
        )


def _check_content(message: dict[str, Any], where: str) -> None:
    content = message.get("content")
    if (
        content is None
        and message["role"] == "assistant"
        and (message.get("tool_calls") or message.get("refusal"))
    ):
        return
    if isinstance(content, str):
        return
    if isinstance(content, list) and content and all(isinstance(p, dict) and "type" in p for p in content):
        return
    raise Refused(
        f"Invalid value for '{where}.content': expected a string, got {type(content).__name__}", where
    )


def _calls_of(message: dict[str, Any], where: str) -> set[str]:
    calls = message.get("tool_calls")
    if calls is None:
        return set()
    if not isinstance(calls, list) or not calls:
        raise Refused(f"Invalid '{where}.tool_calls': empty array.", f"{where}.tool_calls")
    ids: set[str] = set()
    for call in calls:
        is_call = isinstance(call, dict) and call.get("type") == "function"
        function = call.get("function") if is_call else None
        if (
            not isinstance(function, dict)
            or not isinstance(call.get("id"), str)
            or not isinstance(function.get("name"), str)
            or not isinstance(function.get("arguments"), str)
        ):
            raise Refused(
                f"Invalid '{where}.tool_calls': id, type, function.name and function.arguments", where
            )
        ids.add(call["id"])
    if len(ids) != len(calls):
        raise Refused(f"Duplicate value for 'tool_call_id' in '{where}.tool_calls'", where)
    return ids
