"""Runs a coding CLI for one task: starts it, reads what it prints, and knows how it ended.

What a CLI claims decides nothing about files. Its exit code alone decides nothing either: most end with 0 when
they were refused, told to stop or could not log in, so their own last word, denials and words on the way out
are read too. The process group, leftovers included, has ended when `run` returns or raises.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import anyio
import anyio.to_thread
import msgspec

from providers import errors
from providers.agents.description import AgentDescription
from providers.agents.event_rules import RuleReader, Said
from providers.agents.failing import failure, fault_of
from providers.agents.line_rules import LineReader
from providers.agents.printed_lines import plain
from providers.agents.running import Running
from providers.base import (
    AgentEvent,
    AgentResult,
    AgentTask,
    AskPermission,
    OnAgentEvent,
    ProcessPort,
)
from providers.usage import UNKNOWN

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSWORD|CREDENTIAL", re.IGNORECASE)
_ARGUMENT_BYTES = 100_000  # Linux refuses a single argument of 128 KiB
_OFF_LOOP_BYTES = 256 * 1024
_STRAY_KEPT = 4_000
_TEXT_PIECE = 64 * 1024


class CommandAgent:
    """An `AgentProvider` by description. `program` is an absolute path; `environment` the user's variables, of which it
    gets those that its description names.
    """

    form = "command"

    def __init__(
        self,
        name: str,
        description: AgentDescription,
        program: str,
        *,
        processes: ProcessPort,
        environment: Mapping[str, str],
        check: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        """`check` is awaited before the first start and raises when the program is not usable."""
        self._name = name
        self._description = description
        self._program = program
        self._processes = processes
        self._environment = environment
        self._check = check

    @property
    def name(self) -> str:
        return self._name

    @property
    def own_files(self) -> tuple[str, ...]:
        return self._description.own_files

    @property
    def reports_cost(self) -> bool:
        return self._description.reports_cost

    @property
    def auto(self) -> bool:
        return self._description.auto

    @property
    def resumes(self) -> bool:
        return bool(self._description.session)

    async def run(self, task: AgentTask, *, on_event: OnAgentEvent, ask: AskPermission) -> AgentResult:
        """See `AgentProvider.run`. It asks nobody: what it may do is in its arguments."""
        del ask
        if self._check is not None:
            await self._check()
        description = self._description
        environment = self._variables(task)
        reading = _Reading(self._name, description, on_event, _secrets(environment))
        by_input = description.prompt == "stdin"
        process = await self._processes.start(
            self._argv(task),
            cwd=task.folder,
            env=environment,
            stdin=by_input,
            stderr=True,
            purpose=task.label or self._name,
        )
        running = Running(process, reading, description)
        try:
            code = await running.to_end(task.prompt.encode() if by_input else None)
        finally:
            with anyio.CancelScope(shield=True):
                await process.kill()
        return reading.result(code, running.complaints)

    async def aclose(self) -> None:
        """Nothing outlives a run."""

    def _argv(self, task: AgentTask) -> list[str]:
        description = self._description
        fields = {
            "{prompt}": self._shown_prompt(task),
            "{folder}": str(task.folder),
            "{scratch}": str(task.scratch),
            "{model}": task.model or "",
            "{session}": task.session or "",
            "{budget}": "" if task.usd_left is None else f"{task.usd_left:.4f}",
        }
        options = {
            "{model}": description.model if task.model else (),
            "{session}": description.session if task.session else (),
            "{budget}": description.budget if task.usd_left is not None else (),
        }
        argv: list[str] = [self._program]
        for word in description.argv:
            argv += [filled(each, fields) for each in options.get(word, (word,))]
        return argv

    def _shown_prompt(self, task: AgentTask) -> str:
        """As an argument it must fit one; a longer one is in a file that it is told to read."""
        how = self._description.prompt
        if how == "stdin":
            return ""
        if how == "argument" and len(task.prompt.encode()) < _ARGUMENT_BYTES:
            return task.prompt
        file = task.scratch / "task.md"
        file.write_text(task.prompt, encoding="utf-8")
        return f"Your task is written in the file {file}. Read it whole, then carry it out."

    def _variables(self, task: AgentTask) -> dict[str, str]:
        description = self._description
        wanted = description.environment
        fields = {"{folder}": str(task.folder), "{scratch}": str(task.scratch)}
        theirs = {
            name: value
            for name, value in self._environment.items()
            if any(fnmatchcase(name, pattern) for pattern in wanted)
        }
        return {
            **task.environment,
            "NO_COLOR": "1",
            "TMPDIR": str(task.scratch),
            **{name: filled(value, fields) for name, value in description.set.items()},
            **theirs,
        }


def filled(word: str, fields: Mapping[str, str]) -> str:
    """`word` with its fields filled in at once, so that no field's text is taken for another field."""
    return re.sub("|".join(map(re.escape, fields)), lambda found: fields[found[0]], word)


class _Reading:
    """What one process prints, as events, and what comes of it at the end."""

    def __init__(
        self, name: str, description: AgentDescription, on_event: OnAgentEvent, secrets: tuple[str, ...]
    ) -> None:
        self.name = name
        self.too_long = 0
        self._description = description
        self._on_event = on_event
        self._secrets = secrets
        self._rules = RuleReader(description.events)
        self._patterns = LineReader(description.lines)
        self._stray = ""
        self._lines = 0

    async def take(self, line: bytes) -> None:
        """Raises AuthenticationError as soon as it prints that it waits for a person."""
        if self._description.output == "text":
            await self._text(line)
            return
        value = await self._decoded(line)
        if not isinstance(value, dict):
            self._keep_stray(line)
            return
        self._lines += 1
        for event in self._rules.read(value):
            await self._on_event(self._redacted(event))

    async def _decoded(self, line: bytes) -> Any:
        at = line.find(b"{")
        if at < 0:
            return None
        if at and not plain(line[:at].decode("utf-8", "replace").rpartition("\r")[2]).strip():
            line = line[at:]  # colours or a progress bar stood before it on the same line
        try:
            if len(line) > _OFF_LOOP_BYTES:
                return await anyio.to_thread.run_sync(msgspec.json.decode, line)
            return msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    async def _text(self, line: bytes) -> None:
        text = plain(line[:_TEXT_PIECE].decode("utf-8", "replace"))
        self._lines += bool(text.strip())
        self._rules.said.last_text = (self._rules.said.last_text + text + "\n")[-_STRAY_KEPT:]
        self._look_whether_stuck(text)
        for event in self._patterns.read(text):
            await self._on_event(self._redacted(event))
        said, found = self._rules.said, self._patterns
        said.failure, said.session, said.denied = found.failure, found.session, found.denied
        await self._on_event(self._redacted(AgentEvent(kind="text", text=text + "\n")))

    def _keep_stray(self, line: bytes) -> None:
        text = plain(line[:_TEXT_PIECE].decode("utf-8", "replace")).strip()
        if text:
            self._stray = (self._stray + text + "\n")[-_STRAY_KEPT:]
            self._look_whether_stuck(text)

    def _look_whether_stuck(self, text: str) -> None:
        pattern = self._description.stuck
        if pattern and re.search(pattern, text, re.IGNORECASE):
            raise failure(self.name, "login", self._shown(text))

    def result(self, code: int, stderr: bytes) -> AgentResult:
        """Raises ProviderError when it has not done its work."""
        said = self._rules.said
        fault = self._description.exit_codes.get(str(code))
        reported = said.failure or (said.summary if said.failed else "")
        if code == 0 and not reported and not said.failed and fault is None:
            self._check_whole()
            return AgentResult(
                ok=True,
                summary=self._summary(said),
                usage=UNKNOWN if said.usage is None else said.usage,
                session=said.session or None,
                denied=tuple(map(self._redact, said.denied)),
            )
        words = self._shown(reported) or self.last_words(stderr)
        fault = fault or fault_of(f"{reported}\n{words}", self._description.failures)
        if fault is not None:
            raise failure(self.name, fault, words or f"it ended with {code}")
        how = f"ended with {code}" if code >= 0 else f"was ended by signal {-code}"
        return AgentResult(
            ok=False,
            summary=words or f"it {how} and said nothing",
            usage=UNKNOWN if said.usage is None else said.usage,
            session=said.session or None,
            denied=tuple(map(self._redact, said.denied)),
        )

    def _summary(self, said: Said) -> str:
        if self._description.output == "text":
            return self._shown(said.last_text)
        return self._redact(said.summary or said.last_text).strip()

    def _check_whole(self) -> None:
        if self.too_long:
            raise errors.BadResponseError(
                f"{self.name} printed {self.too_long} lines of more than 64 MB, which were not read",
                retryable=False,
            )
        if self._lines == 0:
            said = f" but: {self._shown(self._stray)}" if self._stray else ""
            raise errors.BadResponseError(
                f"{self.name} ended without having said anything{said}; is it the right program? "
                f"(antiphon doctor shows it)",
                retryable=False,
            )
        if self._description.needs_end and not self._rules.said.ended:
            raise errors.BadResponseError(f"{self.name} ended before it was done: its last line is missing")

    def last_words(self, stderr: bytes) -> str:
        """The end of what it printed beside its protocol."""
        text = "\n".join(
            part for part in (self._stray, plain(stderr.decode("utf-8", "replace"))) if part.strip()
        )
        if not text.strip() and self._description.output == "text":
            text = self._rules.said.last_text
        return self._shown(text)

    def _shown(self, text: str) -> str:
        lines = [line.strip() for line in text.strip().splitlines() if line.strip()]
        return self._redact(" ".join(lines[-8:])[-800:])

    def _redacted(self, event: AgentEvent) -> AgentEvent:
        if not self._secrets or not (event.text or event.subject):
            return event
        return msgspec.structs.replace(
            event, text=self._redact(event.text), subject=self._redact(event.subject)
        )

    def _redact(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[redacted]")
        return text


def _secrets(environment: Mapping[str, str]) -> tuple[str, ...]:
    """Longest first: one may hold another."""
    found = {value for name, value in environment.items() if _SECRET.search(name) and len(value) >= 8}
    return tuple(sorted(found, key=lambda value: (-len(value), value)))
