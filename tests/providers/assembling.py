"""Assemblers and parsers of every API without a connection, for streams that are bytes in a test."""

from collections.abc import Callable
from pathlib import Path

from providers.http.anthropic_stream import MessageAssembler
from providers.http.anthropic_wire import RULES as ANTHROPIC_RULES
from providers.http.assembly import Assembly
from providers.http.aws_event_stream import AwsEventParser
from providers.http.conversation import ToolNames, WireRules
from providers.http.failures import Place
from providers.http.gemini_stream import ContentAssembler
from providers.http.gemini_wire import OWN_ID
from providers.http.gemini_wire import RULES as GEMINI_RULES
from providers.http.ollama_stream import LineAssembler, LineParser
from providers.http.ollama_wire import RULES as OLLAMA_RULES
from providers.http.openai_stream import AnswerAssembler
from providers.http.responses_stream import ResponseAssembler
from providers.http.responses_wire import RULES as RESPONSES_RULES
from providers.http.sse import SseParser
from providers.http.streamed_call import Assembler, Parser
from providers.messages import Answer, TextDelta

PLACE = Place("http://127.0.0.1:1/v1", "BASE_URL", "API_KEY", "sk-secret")
RECORDED = Path(__file__).parent / "recorded"
Shown = Callable[[TextDelta], None]


def _assembly(rules: WireRules, shown: Shown | None) -> Assembly:
    return Assembly(place=PLACE, model="m", call_prefix=f"{OWN_ID}_1", names=ToolNames(rules), on_delta=shown)


def assembler_of(api: str, shown: Shown | None = None) -> Assembler:
    match api:
        case "openai":
            return AnswerAssembler(place=PLACE, model="m", call_prefix="call_1", on_delta=shown)
        case "openai-responses":
            return ResponseAssembler(_assembly(RESPONSES_RULES, shown))
        case "anthropic" | "bedrock":
            return MessageAssembler(_assembly(ANTHROPIC_RULES, shown))
        case "google":
            return ContentAssembler(_assembly(GEMINI_RULES, shown))
        case _:
            return LineAssembler(_assembly(OLLAMA_RULES, shown))


def parser_of(api: str) -> Parser:
    return AwsEventParser() if api == "bedrock" else LineParser() if api == "ollama" else SseParser()


def assemble(api: str, *pieces: bytes, shown: Shown | None = None) -> Answer:
    parser, assembler = parser_of(api), assembler_of(api, shown)
    for piece in pieces:
        assembler.feed(parser.feed(piece))
    assembler.feed(parser.rest())
    return assembler.answer()


def api_of(recording: Path) -> str:
    """`openai-responses_encrypted.sse` is a stream of `openai-responses`."""
    return recording.stem.split("_")[0]
