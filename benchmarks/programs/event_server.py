"""A model server that only streams: `/single/…` one event a write, `/joined/…` all at once, `/paced/…` at a rate.

Arguments: events, and how many a second of those that are paced. Prints its origin, and ends with its input. Events hold about 20 characters of text.
"""

import asyncio
import json
import sys
import time

TEXT = "twenty characters ok"


def openai_events(count: int) -> list[bytes]:
    head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def chunk(delta: dict[str, str], finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return b"data: " + json.dumps({**head, "choices": [choice]}).encode() + b"\n\n"

    return [*(chunk({"content": TEXT}) for _ in range(count)), chunk({}, "stop"), b"data: [DONE]\n\n"]


def anthropic_events(count: int) -> list[bytes]:
    def event(body: dict[str, object]) -> bytes:
        return f"event: {body['type']}\ndata: {json.dumps(body)}\n\n".encode()

    usage = {"input_tokens": 9, "output_tokens": 9}
    message = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "m"}
    start = {**message, "stop_reason": None, "stop_sequence": None, "usage": usage}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}}
    return [
        event({"type": "message_start", "message": start}),
        event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        *(event(delta) for _ in range(count)),
        event({"type": "content_block_stop", "index": 0}),
        event(
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn", "stop_sequence": None},
                "usage": usage,
            }
        ),
        event({"type": "message_stop"}),
    ]


class Server:
    def __init__(self, events: int, rate: float) -> None:
        self._pause_s = 1 / rate
        self._streams = {"completions": openai_events(events), "messages": anthropic_events(events)}

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                await self._answer(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next(
            (int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0
        )
        await reader.readexactly(length)
        path = head.split(" ", 2)[1]
        stream = self._streams["messages" if path.endswith("messages") else "completions"]
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        if path.startswith("/joined"):
            writer.write(_chunk(b"".join(stream)))
        for event in () if path.startswith("/joined") else stream:
            stamped = event
            if path.startswith("/paced"):
                await asyncio.sleep(self._pause_s)
                stamped = event.replace(TEXT.encode(), f"{time.monotonic():20.9f}".encode())
            else:
                await asyncio.sleep(0)
            writer.write(_chunk(stamped))
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        await writer.drain()


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


async def main() -> None:
    server = await asyncio.start_server(Server(int(sys.argv[1]), float(sys.argv[2])).serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}\n")
    sys.stdout.flush()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    asyncio.run(main())
