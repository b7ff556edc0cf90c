"""Looks for model servers on this machine, for a user who has configured none.

Only loopback addresses and only the ports below are asked, only for their list of models, and only when a
person asked for a run that has no model. Nothing is remembered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anyio
import msgspec

if TYPE_CHECKING:  # imported by `probe_local`: it costs 100 ms
    import httpx2

WELL_KNOWN: tuple[tuple[str, int], ...] = (
    ("Ollama", 11434),
    ("LM Studio", 1234),
    ("llama.cpp", 8080),
    ("vLLM", 8000),
)
TIME_LIMIT_S = 0.6  # a loopback server that is there answers within milliseconds
_MAX_BODY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server that answered: `kind` is a guess by its port, `models` are the names it lists."""

    kind: str
    base_url: str
    models: tuple[str, ...]


class _Model(msgspec.Struct, frozen=True):
    id: str


class _Models(msgspec.Struct, frozen=True):
    data: list[_Model] | None = None


async def probe_local(ports: Sequence[tuple[str, int]] = WELL_KNOWN) -> list[LocalServer]:
    """OpenAI-compatible servers on loopback, in the order of `ports`. Takes at most `TIME_LIMIT_S`; never raises."""
    import httpx2

    found: dict[int, LocalServer] = {}
    # `verify=False` only spares building a TLS context: every address below is plain http on loopback.
    async with (
        httpx2.AsyncClient(verify=False, trust_env=False, timeout=TIME_LIMIT_S) as client,
        anyio.create_task_group() as group,
    ):

        async def ask(kind: str, port: int) -> None:
            base_url = f"http://127.0.0.1:{port}/v1"
            models = await _models(client, f"{base_url}/models")
            if models is not None:
                found[port] = LocalServer(kind, base_url, models)

        for kind, port in ports:
            group.start_soon(ask, kind, port)
    return [found[port] for _, port in ports if port in found]


async def _models(client: "httpx2.AsyncClient", url: str) -> tuple[str, ...] | None:
    """The names that the server lists, or None when what answers is no such server."""
    import httpx2

    body = b""
    try:
        with anyio.fail_after(TIME_LIMIT_S):
            async with client.stream("GET", url) as response:
                if response.status_code != 200:
                    return None
                async for piece in response.aiter_bytes():
                    body += piece
                    if len(body) > _MAX_BODY:
                        return None
        listed = msgspec.json.decode(body, type=_Models)
    except (httpx2.HTTPError, msgspec.DecodeError, TimeoutError, UnicodeDecodeError):
        return None
    return None if listed.data is None else tuple(model.id for model in listed.data)
