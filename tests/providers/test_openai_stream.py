import pytest

from providers import errors
from providers.http.failures import Place
from providers.http.openai_stream import AnswerAssembler
from providers.http.sse import SseParser
from providers.messages import Answer, TextDelta, ToolCall
from providers.usage import UNKNOWN, Usage
from tests.providers.chat import DONE, HELLO, USAGE, call_piece, delta, event

PLACE = Place("http://127.0.0.1:1/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY", "sk-secret")
TWO_CALLS = (
    delta(role="assistant", content="I look. 🎼"),
    call_piece(0, call_id="call_a", name="read_file", arguments=""),
    call_piece(1, call_id="call_b", name="search", arguments=""),
    call_piece(0, arguments='{"pa'),
    call_piece(1, arguments='{"pattern": "ü'),
    call_piece(0, arguments='th": "a.py"}'),
    call_piece(1, arguments='"}'),
    delta("tool_calls"),
    USAGE,
    DONE,
)
CALLS = (
    ToolCall("call_a", "read_file", '{"path": "a.py"}'),
    ToolCall("call_b", "search", '{"pattern": "ü"}'),
)


def assembler(shown: list[TextDelta] | None = None) -> AnswerAssembler:
    on_delta = None if shown is None else shown.append
    return AnswerAssembler(place=PLACE, model="m", call_prefix="call_1", on_delta=on_delta)


def assemble(*pieces: bytes) -> Answer:
    parser, assembling = SseParser(), assembler()
    for piece in pieces:
        assembling.feed(parser.feed(piece))
    return assembling.answer()


def test_text_usage_and_model() -> None:
    answer = assemble(*HELLO)
    assert answer.message.text == "Hello."
    assert answer.stop == "end"
    assert answer.model == "served-model"
    assert answer.usage == Usage(1000, 20, 400, 5, None)


def test_parallel_calls_in_interleaved_pieces() -> None:
    answer = assemble(*TWO_CALLS)
    assert answer.message.tool_calls == CALLS
    assert answer.message.text == "I look. 🎼"
    assert answer.stop == "tool_calls"


def test_a_stream_cut_at_every_byte_gives_the_same_answer() -> None:
    stream = b"".join(TWO_CALLS)
    whole = assemble(stream)
    for cut in range(len(stream) + 1):
        assert assemble(stream[:cut], stream[cut:]) == whole, cut


def test_a_stream_that_ends_at_any_byte_passes_only_when_its_answer_was_whole() -> None:
    stream = b"".join(TWO_CALLS)
    finished_at = len(b"".join(TWO_CALLS[:-2]))
    for end in range(len(stream)):
        if end < finished_at:
            with pytest.raises(errors.BadResponseError, match="without finishing it"):
                assemble(stream[:end])
        else:
            assert assemble(stream[:end]).message.tool_calls == CALLS


def test_missing_or_absurd_usage_is_unknown() -> None:
    assert assemble(delta(content="x"), delta("stop"), DONE).usage == UNKNOWN
    absurd = event({"choices": [], "usage": {"prompt_tokens": -1, "completion_tokens": 3}})
    assert assemble(delta(content="x"), delta("stop"), absurd, DONE).usage == Usage(None, 3, None, None, None)


def test_the_last_usage_counts() -> None:
    early = event({"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}})
    assert assemble(early, *HELLO).usage.input_tokens == 1000


@pytest.mark.parametrize(
    ("finish", "stop"),
    [
        ("stop", "end"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("length", "length"),
        ("content_filter", "content_filter"),
        ("eos_token", "other"),
    ],
)
def test_finish_reasons(finish: str, stop: str) -> None:
    assert assemble(delta(content="x"), delta(finish), DONE).stop == stop


def test_done_without_a_finish_reason_ends_an_answer_and_calls_win_over_stop() -> None:
    assert assemble(delta(content="x"), DONE).stop == "end"
    assert (
        assemble(call_piece(0, call_id="a", name="finish", arguments="{}"), delta("stop"), DONE).stop
        == "tool_calls"
    )


def test_an_end_without_any_choice_is_no_answer() -> None:
    with pytest.raises(errors.BadResponseError, match="before its first token"):
        assemble(USAGE, DONE)


def test_an_empty_answer_is_an_answer() -> None:
    answer = assemble(delta("stop"), DONE)
    assert (answer.message.parts, answer.stop) == ((), "end")


@pytest.mark.parametrize(
    "pieces",
    [
        # the id in every piece
        (call_piece(0, call_id="a", name="f", arguments="{"), call_piece(0, call_id="a", arguments="}")),
        # no index at all
        (call_piece(None, call_id="a", name="f", arguments="{"), call_piece(None, arguments="}")),
        # whole, arguments as an object
        (call_piece(0, call_id="a", name="f", arguments={}),),
        # no arguments
        (call_piece(0, call_id="a", name="f"),),
    ],
)
def test_forms_of_one_call(pieces: tuple[bytes, ...]) -> None:
    assert assemble(*pieces, delta("tool_calls")).message.tool_calls == (ToolCall("a", "f", "{}"),)


def test_forms_of_two_calls_that_share_or_lack_an_index() -> None:
    expected = (ToolCall("a", "f", '{"x":1}'), ToolCall("b", "g", "{}"))
    same = (
        call_piece(0, call_id="a", name="f", arguments='{"x":1}'),
        call_piece(0, call_id="b", name="g", arguments="{}"),
    )
    none = (
        call_piece(None, call_id="a", name="f", arguments='{"x":1}'),
        call_piece(None, call_id="b", name="g"),
    )
    for pieces in (same, none):
        assert assemble(*pieces, delta("tool_calls")).message.tool_calls == expected


def test_calls_without_or_with_repeated_ids_get_distinct_ones() -> None:
    without = assemble(call_piece(0, name="f"), call_piece(1, name="g"), delta("tool_calls"))
    assert [call.id for call in without.message.tool_calls] == ["call_1_0", "call_1_1"]
    repeated = assemble(
        call_piece(0, call_id="a", name="f"), call_piece(1, call_id="a", name="g"), delta("tool_calls")
    )
    assert [call.id for call in repeated.message.tool_calls] == ["a", "a_1"]


def test_broken_arguments_are_kept_raw_but_dropped_when_the_length_cut_them() -> None:
    broken = call_piece(0, call_id="a", name="f", arguments='{"path": ')
    assert assemble(broken, delta("tool_calls")).message.tool_calls[0].arguments == '{"path": '
    cut = assemble(broken, delta("length"))
    assert (cut.message.tool_calls, cut.stop) == ((), "length")


def test_a_call_without_a_name_is_refused() -> None:
    with pytest.raises(errors.BadResponseError, match="without a name"):
        assemble(call_piece(0, call_id="a", arguments="{}"), delta("tool_calls"))


def test_refusals_and_filters_are_their_own_error() -> None:
    with pytest.raises(errors.RefusalError, match="not with that"):
        assemble(delta(refusal="I can"), delta(refusal="not with that"), delta("stop"), DONE)
    with pytest.raises(errors.RefusalError, match="content filter"):
        assemble(delta("content_filter"), DONE)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "The server had an error", "type": "server_error"}, errors.OverloadedError),
        ({"message": "Rate limit reached", "code": "rate_limit_exceeded"}, errors.RateLimitError),
        ({"message": "no", "code": "insufficient_quota"}, errors.QuotaExhaustedError),
        ({"message": "overloaded_error"}, errors.OverloadedError),
        ({"message": "bad key", "code": "invalid_api_key"}, errors.AuthenticationError),
        (
            {"message": "m", "type": "invalid_request_error", "code": "context_length_exceeded"},
            errors.ContextOverflowError,
        ),
        ({"message": "upstream timed out"}, errors.ProviderTimeoutError),
        ("something odd", errors.BadResponseError),
    ],
)
def test_an_error_object_inside_the_stream_is_that_error(
    error: object, kind: type[errors.ProviderError]
) -> None:
    with pytest.raises(kind):
        assemble(delta(content="Some"), event({"error": error}), delta("stop"), DONE)


def test_other_forms_of_an_error_event() -> None:
    with pytest.raises(errors.OverloadedError):
        assemble(b"event: error\n" + event({"message": "Overloaded", "type": "overloaded_error"}))
    with pytest.raises(errors.BadResponseError, match="plain words"):
        assemble(b"event: error\ndata: plain words\n\n")
    with pytest.raises(errors.ModelNotFoundError):
        assemble(event({"object": "error", "message": "The model `m` does not exist.", "code": 404}))


@pytest.mark.parametrize("data", [b"{not json", b"[1]", b'"text"', b"\xff\xfe", b'{"choices": 7}'])
def test_garbage_is_a_bad_response_that_quotes_it(data: bytes) -> None:
    with pytest.raises(errors.BadResponseError, match="no answer"):
        assemble(delta(content="Some"), b"data: " + data + b"\n\n", delta("stop"), DONE)


def test_choices_beyond_the_first_and_null_fields_are_read_over() -> None:
    nulls = event({"choices": None, "usage": None, "error": None, "model": None})
    other = delta("length", index=1, content="other")
    parts = delta(content=[{"type": "thinking", "thinking": []}, {"type": "text", "text": "lo."}])
    answer = assemble(nulls, delta(content="Hel"), other, parts, delta("stop", tool_calls=None, content=None))
    assert (answer.message.text, answer.stop) == ("Hello.", "end")


def test_deltas_are_shown_once_per_feed_and_reasoning_counts_as_content() -> None:
    shown: list[TextDelta] = []
    assembling = assembler(shown)
    pieces = (HELLO[0], delta(reasoning_content="hm"))
    began = [(assembling.feed(SseParser().feed(piece)), assembling.begun) for piece in pieces]
    assert began == [(False, False), (True, True)]
    assert assembling.feed(SseParser().feed(HELLO[1] + HELLO[2]))
    assert shown == [TextDelta("Hello.")]


def test_a_whole_object_instead_of_a_stream() -> None:
    message = {
        "role": "assistant",
        "content": "Hi",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    body = event({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]})[6:]
    assembling = assembler()
    assembling.feed_whole(body)
    answer = assembling.answer()
    assert (answer.message.text, answer.message.tool_calls) == ("Hi", (ToolCall("a", "f", "{}"),))
