"""The bare call both peers make: one streamed chat completion by httpx2, the text put together. Nothing else."""

import json

import httpx2

SYSTEM = "You are a coding agent. Do the task and say what you did."


def client() -> httpx2.AsyncClient:
    return httpx2.AsyncClient(
        headers={"Authorization": "Bearer bench"}, timeout=httpx2.Timeout(600.0, connect=10.0)
    )


async def ask(connection: httpx2.AsyncClient, url: str, number: int) -> str:
    """The model's text for task `number`."""
    body = {
        "model": "bench",
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": instructions(number)},
        ],
    }
    pieces: list[str] = []
    async with connection.stream("POST", f"{url}/chat/completions", json=body) as response:
        response.raise_for_status()
        async for line in response.aiter_lines():
            if not line.startswith("data: ") or line == "data: [DONE]":
                continue
            choices = json.loads(line[6:])["choices"]
            pieces.extend(choice["delta"].get("content") or "" for choice in choices)
    return "".join(pieces)


def instructions(number: int) -> str:
    return f"Task {number}\n\nTell what the layers before this one have left to do."
