"""Decisions and undos that a crash cut off: what the files hold says how far they came.

A file that was not written is offered again; nothing is written anew, but for the second half of a move and
for permission bits, without which what was written would be neither before nor after. Half-written files
that are left over are removed.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence

from orchestration import events as ev
from orchestration.engine_ports import EnginePorts
from orchestration.errors import AntiphonError
from orchestration.live_run import LiveRun
from orchestration.review.contents import Contents
from orchestration.review.hunks import sha256
from orchestration.review.moves import moves
from orchestration.review.standing import FileWrite, Standing, Versions
from orchestration.run import DecisionState, RunState

Standings = Callable[[RunState, frozenset[str]], AsyncIterator[tuple[Standing, Versions]]]
"""Of the files that have one of these hunks."""


class Settling:
    def __init__(self, ports: EnginePorts, contents: Contents, standings: Standings) -> None:
        self._ports = ports
        self._contents = contents
        self._standings = standings

    async def settle(self, live: LiveRun) -> None:
        state = live.state
        for decision in [item for item in state.decisions.values() if not item.applied]:
            held = await self._paths_where(state, decision, shown=True)
            await self._settle_one(live, decision.decision_id, decision.files, held)
        for undo in [item for item in state.undos.values() if not item.applied]:
            undone = state.decisions.get(undo.decision_id)
            gone = set() if undone is None else await self._paths_where(state, undone, shown=False)
            await self._settle_one(live, undo.undo_id, undo.files, gone)

    async def _settle_one(
        self, live: LiveRun, name: str, intents: Sequence[ev.FileIntent], shown: set[str]
    ) -> None:
        """`shown`: paths whose text shows that it happened there, whatever else was typed into them."""
        folders = sorted({intent.path.rpartition("/")[0] for intent in intents})
        await self._ports.executor.run(self._ports.files.sweep, folders)
        await self._finish_moves(live, intents)
        found = [await self._found(intent, shown=intent.path in shown) for intent in intents]
        await live.record(ev.DecisionApplied(decision_id=name, files=tuple(found)))

    async def _found(self, intent: ev.FileIntent, *, shown: bool) -> ev.FileResult:
        look = await self._contents.look(intent.path)
        now = "" if look.now is None else sha256(look.now)
        if now == intent.after or (shown and intent.after):
            if why := await self._finish_mode(intent):
                return ev.FileResult(path=intent.path, outcome="conflict", detail=why)
            outcome: ev.FileOutcome = "saved" if look.saved else "seen"
            if intent.before == intent.after and intent.mode is None:
                outcome = "unchanged"
            return ev.FileResult(path=intent.path, outcome=outcome)
        if now == intent.before:
            detail = "interrupted before it was written; decide again"
            return ev.FileResult(path=intent.path, outcome="conflict", detail=detail)
        detail = "interrupted, and the file was changed since; look at it and decide again"
        return ev.FileResult(path=intent.path, outcome="unknown", detail=detail)

    async def _finish_moves(self, live: LiveRun, intents: Iterable[ev.FileIntent]) -> None:
        """A file that stands under both names, as it was and as it was to be, loses its old one."""
        writes = [
            FileWrite(
                intent.path,
                await live.blob(intent.before) if intent.before else None,
                await live.blob(intent.after) if intent.after else None,
            )
            for intent in intents
        ]
        for move in moves(writes):
            came = await self._contents.look(move.came.path)
            gone = await self._contents.look(move.gone.path)
            if (came.now, gone.now) == (move.came.after, move.gone.before):
                await self._contents.write_all(
                    [FileWrite(move.gone.path, move.gone.before, None)], "move", _unheard
                )

    async def _finish_mode(self, intent: ev.FileIntent) -> str:
        """Why it could not be finished; empty when it is."""
        if intent.mode is None or not intent.after:
            return ""
        try:
            await self._ports.executor.run(self._ports.files.set_mode, intent.path, intent.mode)
        except AntiphonError as error:
            return str(error)
        return ""

    async def _paths_where(self, state: RunState, decision: DecisionState, *, shown: bool) -> set[str]:
        """The paths whose text holds all that the decision accepted there, or nothing of it."""
        if state.changes is None or not decision.hunk_ids:
            return set()
        found: set[str] = set()
        ids = frozenset(decision.hunk_ids)
        async for standing, _ in self._standings(state, ids):
            if all(one.shows(decision.decision_id) == shown for one in standing.stands if one.hunk.id in ids):
                found |= {standing.change.path, standing.change.base_path}
        return found


async def _unheard(path: str) -> None:
    """Nobody is told of an edit that leaves for the editor: its outcome is recorded right after."""
    del path
