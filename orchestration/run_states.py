"""States of runs that this process does not own, folded from the journal and kept while they are asked for."""

from collections import OrderedDict

from orchestration.errors import NotFoundError
from orchestration.fold import apply
from orchestration.journal.contract import Journal
from orchestration.run import RunState

KEPT = 4
PAGE = 5_000


class RunStates:
    """A state is brought up to date by reading only what came since."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._kept: OrderedDict[str, RunState] = OrderedDict()

    async def read(self, run_id: str) -> RunState:
        """A copy. Raises NotFoundError for an unknown run."""
        state = self._kept.pop(run_id, None) or RunState(run_id)
        while records := await self._journal.read(run_id, after=state.last_seq, limit=PAGE):
            for record in records:
                if record.seq > state.last_seq:
                    apply(state, record)
            if len(records) < PAGE:
                break
        if not state.last_seq:
            raise NotFoundError(f"there is no run {run_id} in this workspace; `antiphon runs` lists them")
        self.keep(state)
        return state.snapshot()

    def keep(self, state: RunState) -> None:
        """Takes over a state that its owner changes no more."""
        self._kept[state.run_id] = state
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def forget(self, run_id: str) -> None:
        self._kept.pop(run_id, None)
