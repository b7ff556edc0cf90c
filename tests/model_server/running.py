"""The server inside a test: its own loop on its own thread, owned by a context manager."""

import asyncio
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from tests.model_server.listener import Listener
from tests.model_server.replies import Script
from tests.model_server.requests import Records


class ModelServer:
    """`with ModelServer(script) as server:` or `async with`; then `server.base_url` answers.

    `api_key` None: no authorization is asked for. `models` empty: every model name is accepted.
    `strict`: requests are checked as the real API does; off for measurements.
    Leaving raises AssertionError when the script itself failed, unless another error is on its way.
    """

    def __init__(
        self,
        script: Script,
        *,
        api_key: str | None = None,
        models: Sequence[str] = ("test-model",),
        strict: bool = True,
        port: int = 0,
    ) -> None:
        self.records = Records()
        self._listener = Listener(script, self.records, api_key=api_key, models=models, strict=strict)
        self._wanted_port = port
        self._port: int | None = None
        self._error: BaseException | None = None
        self._started = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="model-server")

    @property
    def port(self) -> int:
        assert self._port is not None, "the server has not started: enter it first"
        return self._port

    @property
    def base_url(self) -> str:
        """What belongs into OPENAI_BASE_URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def failures(self) -> list[str]:
        """Tracebacks of the script."""
        return self._listener.failures

    def start(self) -> None:
        """OSError when the port is taken."""
        self._thread.start()
        self._started.wait()
        if self._error is not None:
            self._thread.join()
            raise self._error

    def stop(self) -> None:
        """Aborts what is open, and waits for the thread."""
        if self._loop is not None and self._stop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits in start()
            self._error = error
        finally:
            self._started.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._port = await self._listener.start("127.0.0.1", self._wanted_port)
        self._started.set()
        await self._stop.wait()
        await self._listener.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None and self.failures:
            raise AssertionError("the script failed:\n" + "\n".join(self.failures))

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The thread ends by itself within milliseconds, and a cancelled test must not leave it behind.
        self.__exit__(kind, error, trace)
