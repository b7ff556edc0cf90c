"""Structured output for an API that has no setting for it: the schema as a tool that the model must call."""

import msgspec

from providers.messages import Answer, Message, OutputSchema, Request, Text, ToolCall, ToolSpec


def as_tool_call(request: Request) -> Request:
    """The same request with its schema as a tool. Without tools of its own the model must call it."""
    schema = request.output
    assert schema is not None
    tool = ToolSpec(schema.name, "Gives the final answer. Call it once, at the end.", schema.schema)
    choice = request.tool_choice or ("required" if request.tools else schema.name)
    return msgspec.structs.replace(request, tools=(*request.tools, tool), output=None, tool_choice=choice)


def from_tool_call(answer: Answer, schema: OutputSchema) -> Answer:
    """The arguments of the call of that tool as the answer's text; any other answer as it is."""
    found = next((call for call in answer.message.tool_calls if call.name == schema.name), None)
    if found is None:
        return answer
    kept = tuple(part for part in answer.message.parts if not isinstance(part, Text | ToolCall))
    message = Message("assistant", (*kept, Text(found.arguments)))
    return msgspec.structs.replace(answer, message=message, stop="end")
