"""Parts of hunks, edited proposals, the editor's own undo, and what is known of an edit: over the whole engine."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from orchestration import commands as cm
from orchestration import events as ev
from orchestration.commands import HunkLines, Reply
from orchestration.documents import SinkResult
from orchestration.engine import EngineFront
from orchestration.review.view import HunkView
from tests.orchestration.buffers import Buffers
from tests.orchestration.test_engine import Bench, events, run, says, task, writes

pytestmark = pytest.mark.anyio
BEFORE = "".join(f"{number}\n" for number in range(12))
AFTER = BEFORE.replace("2\n3\n4\n", "two\nthree\n", 1).replace("9\n", "nine\nand a half\n")


class Desk:
    """A finished run that proposes two hunks in `f.txt`, the user's buffers, and an engine that sees them."""

    def __init__(self, bench: Bench, buffers: Buffers, engine: EngineFront, run_id: str) -> None:
        self.bench = bench
        self.buffers = buffers
        self.engine = engine
        self.run_id = run_id

    async def hunks(self) -> list[HunkView]:
        return list((await self.engine.changes(self.run_id)).hunks())

    async def states(self) -> list[str]:
        return [hunk.state for hunk in await self.hunks()]

    async def decide(
        self,
        number: int,
        decision: ev.Decision = "accept",
        *,
        lines: HunkLines | None = None,
        text: str | None = None,
        base_hash: str = "",
    ) -> Reply:
        hunk = (await self.hunks())[number]
        return await self.engine.submit(
            cm.DecideHunks(
                run_id=self.run_id,
                decision=decision,
                hunk_ids=(hunk.hunk_id,),
                lines=lines,
                text=text,
                base_hash=base_hash,
            )
        )

    async def undo(self, decision_id: str | None = None) -> Reply:
        return await self.engine.submit(cm.UndoDecision(run_id=self.run_id, decision_id=decision_id))

    async def note(self) -> None:
        assert not (await self.engine.submit(cm.NoteFiles(run_id=self.run_id))).error

    async def tail(self) -> list[ev.Event]:
        """What was journaled after the run's end."""
        state = await self.engine.state(self.run_id)
        found: list[ev.Event] = []
        async for item in self.engine.subscribe(self.run_id):
            if isinstance(item, ev.Record):
                found.append(item.event)
                if item.seq == state.last_seq:
                    break
        return found[next(n for n, event in enumerate(found) if isinstance(event, ev.RunFinished)) + 1 :]


@asynccontextmanager
async def desk_of(bench: Bench, before: str = BEFORE, after: str = AFTER) -> AsyncIterator[Desk]:
    bench.write("f.txt", before)
    bench.rules(says(*writes("f.txt", after), task="a"))
    buffers = Buffers(bench.root)
    async with bench.engine(documents=buffers) as engine:
        state = await run(engine, task("a"))
        assert state.end == "completed", state.reasons
        yield Desk(bench, buffers, engine, state.run_id)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_of(Bench(tmp_path)) as made:
        yield made


# --- parts -------------------------------------------------------------------------------------------


async def test_lines_of_a_hunk_are_accepted_and_the_rest_stays_proposed(desk: Desk) -> None:
    assert not (await desk.decide(0, lines=HunkLines(old=(0,), new=(0,)))).error
    assert desk.bench.read("f.txt") == BEFORE.replace("2\n", "two\n", 1)
    rest = (await desk.hunks())[0]
    assert (rest.state, rest.start_line, rest.old_text, rest.new_text) == ("proposed", 3, "3\n4\n", "three\n")
    assert (rest.old_numbers, rest.new_numbers, rest.proposed_old_lines) == ((1, 2), (1,), 3)
    assert not (await desk.decide(0, "reject", lines=HunkLines(old=(2,)))).error
    assert not (await desk.decide(0)).error
    assert desk.bench.read("f.txt") == BEFORE.replace("2\n3\n", "two\nthree\n", 1)
    assert await desk.states() == ["accepted", "proposed"]
    assert (await desk.hunks())[0].new_text == "two\nthree\n4\n"


async def test_each_part_is_undone_by_itself_in_any_order(desk: Desk) -> None:
    first = await desk.decide(0, lines=HunkLines(old=(0,), new=(0,)))
    second = await desk.decide(0, lines=HunkLines(old=(1,), new=(1,)))
    third = await desk.decide(1)
    desk.bench.write("f.txt", "mine\n" + desk.bench.read("f.txt"))
    assert not (await desk.undo(first.decision_id)).error
    assert desk.bench.read("f.txt") == "mine\n" + BEFORE.replace("3\n", "three\n").replace(
        "9\n", "nine\nand a half\n"
    )
    assert not (await desk.undo(third.decision_id)).error
    assert not (await desk.undo(second.decision_id)).error
    assert desk.bench.read("f.txt") == "mine\n" + BEFORE
    assert await desk.states() == ["proposed", "proposed"]


async def test_a_proposal_is_accepted_as_the_user_edited_it(desk: Desk) -> None:
    reply = await desk.decide(0, text="zwei\ndrei\n")
    assert not reply.error
    assert desk.bench.read("f.txt") == BEFORE.replace("2\n3\n4\n", "zwei\ndrei\n", 1)
    (hunk, _) = await desk.hunks()
    assert (hunk.state, hunk.new_text) == ("accepted", "zwei\ndrei\n")
    assert not (await desk.undo()).error
    assert desk.bench.read("f.txt") == BEFORE


async def test_an_edited_text_settles_a_conflict_that_the_user_saw(desk: Desk) -> None:
    desk.bench.write("f.txt", BEFORE.replace("3\n", "drei\n"))
    assert await desk.states() == ["conflict", "proposed"]
    assert "base hash" in (await desk.decide(0, text="2\ndrei\n")).error
    seen = (await desk.hunks())[0]
    desk.bench.write("f.txt", BEFORE.replace("3\n", "DREI\n"))
    stale = await desk.decide(0, text="2\ndrei!\n", base_hash=seen.base_hash)
    assert "changed since it was shown" in stale.error
    assert desk.bench.read("f.txt") == BEFORE.replace("3\n", "DREI\n")
    seen = (await desk.hunks())[0]
    assert not (await desk.decide(0, text="2\ndrei!\n", base_hash=seen.base_hash)).error
    assert desk.bench.read("f.txt") == BEFORE.replace("3\n4\n", "drei!\n")
    assert (await desk.states())[0] == "accepted"
    assert not (await desk.undo()).error
    assert (await desk.states())[0] == "proposed"


async def test_a_created_file_is_taken_in_parts(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.rules(says(*writes("new.txt", "a\nb\nc\n"), task="a"))
    async with bench.engine() as engine:
        desk = Desk(bench, Buffers(bench.root), engine, (await run(engine, task("a"))).run_id)
        part = await desk.decide(0, lines=HunkLines(new=(0, 2)))
        assert bench.read("new.txt") == "a\nc\n"
        (rest,) = await desk.hunks()
        assert (rest.state, rest.kind, rest.start_line, rest.new_text) == ("proposed", "lines", 1, "b\n")
        assert not (await desk.decide(0)).error
        assert bench.read("new.txt") == "a\nb\nc\n"
        assert not (await desk.undo()).error
        assert bench.read("new.txt") == "a\nc\n"
        assert not (await desk.undo(part.decision_id)).error
        assert not (bench.root / "new.txt").exists()
        assert not (await desk.decide(0, text="mine\n")).error
        assert bench.read("new.txt") == "mine\n"


@pytest.mark.parametrize(
    ("lines", "text", "why"),
    [
        (HunkLines(old=(7,)), None, "no old line 7"),
        (HunkLines(new=(-1,)), None, "no new line -1"),
        (HunkLines(), None, "none of these lines"),
        (HunkLines(old=(0,)), "x\n", "either"),
    ],
)
async def test_parts_that_are_none_are_refused(
    desk: Desk, lines: HunkLines, text: str | None, why: str
) -> None:
    reply = await desk.decide(0, lines=lines, text=text)
    assert why in reply.error
    assert desk.bench.read("f.txt") == BEFORE
    whole = cm.DecideHunks(run_id=desk.run_id, decision="accept", all=True, lines=HunkLines(old=(0,)))
    assert "one hunk" in (await desk.engine.submit(whole)).error
    rejected = await desk.decide(0, "reject", text="x\n")
    assert "cannot be rejected" in rejected.error


# --- the editor's own undo ---------------------------------------------------------------------------


async def test_the_editors_undo_opens_a_hunk_again_and_its_redo_accepts_it(desk: Desk) -> None:
    buffers = desk.buffers
    buffers.open("f.txt")
    first = await desk.decide(0)
    second = await desk.decide(1)
    assert buffers.text("f.txt") == AFTER
    buffers.undo("f.txt")
    assert await desk.states() == ["accepted", "proposed"]
    await desk.note()
    (seen,) = [event for event in await desk.tail() if isinstance(event, ev.HunksSeen)]
    assert [hunk.back for hunk in seen.hunks] == [(second.decision_id,)]
    await desk.note()
    assert sum(isinstance(event, ev.HunksSeen) for event in await desk.tail()) == 1
    buffers.undo("f.txt")
    assert await desk.states() == ["proposed", "proposed"]
    buffers.redo("f.txt")
    buffers.redo("f.txt")
    await desk.note()
    assert await desk.states() == ["accepted", "accepted"]
    state = await desk.engine.state(desk.run_id)
    assert not any(state.decisions[reply.decision_id].back for reply in (first, second))


async def test_the_editors_undo_of_an_undo_accepts_the_hunk_again(desk: Desk) -> None:
    buffers = desk.buffers
    buffers.open("f.txt")
    first = await desk.decide(0)
    second = await desk.decide(1)
    assert not (await desk.undo(first.decision_id)).error
    assert await desk.states() == ["proposed", "accepted"]
    buffers.undo("f.txt")
    assert await desk.states() == ["accepted", "accepted"]
    await desk.note()
    state = await desk.engine.state(desk.run_id)
    assert [state.decisions[reply.decision_id].undone for reply in (first, second)] == [False, False]
    assert not (await desk.undo(first.decision_id)).error
    assert buffers.text("f.txt") == BEFORE.replace("9\n", "nine\nand a half\n")


async def test_a_hunk_that_the_editor_took_back_is_decided_anew(desk: Desk) -> None:
    buffers = desk.buffers
    buffers.open("f.txt")
    await desk.decide(0)
    accepted = await desk.decide(1)
    buffers.undo("f.txt")
    buffers.type("f.txt", "mine\n" + buffers.text("f.txt"))
    assert "taken back" in (await desk.undo(accepted.decision_id)).error
    assert not (await desk.decide(1, "reject")).error
    assert await desk.states() == ["accepted", "rejected"]
    assert not (await desk.decide(1)).error
    assert buffers.text("f.txt") == "mine\n" + AFTER
    assert not (await desk.undo()).error
    assert await desk.states() == ["accepted", "rejected"]


async def test_what_a_user_does_to_accepted_lines_is_no_undo(desk: Desk) -> None:
    await desk.engine.submit(cm.DecideHunks(run_id=desk.run_id, decision="accept", all=True))
    desk.bench.write("f.txt", AFTER.replace("nine\n", "NINE\n"))
    assert await desk.states() == ["accepted", "accepted"]
    desk.bench.write("f.txt", AFTER.replace("nine\nand a half\n", ""))
    assert await desk.states() == ["accepted", "accepted"]
    desk.bench.write("f.txt", BEFORE)
    assert await desk.states() == ["proposed", "proposed"]


async def test_a_part_is_taken_back_by_the_editor_too(desk: Desk) -> None:
    buffers = desk.buffers
    buffers.open("f.txt")
    await desk.decide(0, lines=HunkLines(old=(0,), new=(0,)))
    await desk.decide(0)
    buffers.undo("f.txt")
    rest = (await desk.hunks())[0]
    assert (rest.state, rest.old_text) == ("proposed", "3\n4\n")
    buffers.undo("f.txt")
    rest = (await desk.hunks())[0]
    assert (rest.state, rest.old_text, rest.old_numbers) == ("proposed", "2\n3\n4\n", ())
    buffers.redo("f.txt")
    buffers.redo("f.txt")
    assert (await desk.states())[0] == "accepted"


# --- sent, seen, saved -------------------------------------------------------------------------------


async def test_an_edit_is_sent_then_seen_then_saved(desk: Desk) -> None:
    buffers = desk.buffers
    buffers.open("f.txt")

    async def on_edit(_path: str) -> None:
        noted = [event.file for event in await desk.tail() if isinstance(event, ev.FileNoted)]
        assert noted == [ev.FileResult(path="f.txt", outcome="sent")]

    buffers.on_edit = on_edit
    reply = await desk.decide(0)
    assert [file.outcome for file in reply.files] == ["seen"]
    assert (await desk.hunks())[0].reached == "seen"
    await desk.note()
    buffers.save("f.txt")
    assert (await desk.hunks())[0].reached == "saved"
    await desk.note()
    state = await desk.engine.state(desk.run_id)
    assert [file.outcome for file in state.decisions[reply.decision_id].results] == ["saved"]
    assert [type(event) for event in await desk.tail()] == [
        ev.CheckpointTaken,
        ev.DecisionRecorded,
        ev.FileNoted,
        ev.DecisionApplied,
        ev.FileNoted,
    ]


async def test_a_buffer_closed_without_saving_proposes_its_hunks_again(desk: Desk) -> None:
    buffers = desk.buffers
    buffers.open("f.txt")
    await desk.engine.submit(cm.DecideHunks(run_id=desk.run_id, decision="accept", all=True))
    buffers.close("f.txt")
    assert desk.bench.read("f.txt") == BEFORE
    assert await desk.states() == ["proposed", "proposed"]
    await desk.note()
    assert not (await desk.decide(0)).error
    assert desk.bench.read("f.txt") != BEFORE


async def test_an_edit_that_the_editor_refused_leaves_the_hunk_proposed_and_says_why(desk: Desk) -> None:
    buffers = desk.buffers
    buffers.open("f.txt")
    buffers.refusal = SinkResult("conflict", "the editor refused the edit: read-only")
    reply = await desk.decide(0)
    assert "read-only" in reply.error
    hunk = (await desk.hunks())[0]
    assert (hunk.state, hunk.detail) == (
        "proposed",
        "not accepted: the editor refused the edit: read-only",
    )
    assert not (await desk.decide(0)).error
    assert ((await desk.hunks())[0].state, (await desk.hunks())[0].detail) == ("accepted", "")


async def test_what_a_time_out_left_unknown_is_found_out_from_the_text(desk: Desk) -> None:
    buffers = desk.buffers
    buffers.open("f.txt")
    buffers.refusal = SinkResult("unknown", "the editor did not answer within 30 s")
    assert (await desk.decide(0)).exit_code == 1
    assert (await desk.hunks())[0].state == "proposed"
    buffers.type("f.txt", BEFORE.replace("2\n3\n4\n", "two\nthree\n", 1))
    assert (await desk.hunks())[0].state == "accepted"
    await desk.note()
    assert await desk.states() == ["accepted", "proposed"]
    assert not (await desk.undo()).error
    assert buffers.text("f.txt") == BEFORE


class Crash(Exception):  # noqa: N818 - not an error of ours
    pass


@pytest.mark.parametrize("happened", [True, False])
async def test_after_a_crash_between_intent_and_edit_the_text_says_what_happened(
    desk: Desk, happened: bool
) -> None:
    buffers = desk.buffers
    buffers.open("f.txt")

    async def on_edit(_path: str) -> None:
        if happened:
            buffers.type("f.txt", "mine\n" + BEFORE.replace("9\n", "nine\nand a half\n"))
        raise Crash

    buffers.on_edit = on_edit
    with pytest.raises(Crash):
        await desk.decide(1)
    buffers.on_edit = None
    assert (await desk.states())[1] == ("accepted" if happened else "proposed")
    assert not (await desk.decide(0)).error
    assert await desk.states() == ["accepted", "accepted" if happened else "proposed"]
    if not happened:
        assert not (await desk.decide(1)).error
    assert buffers.text("f.txt") == ("mine\n" if happened else "") + AFTER


async def test_after_a_restart_everything_stands_as_it_did(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    async with desk_of(bench) as desk:
        desk.buffers.open("f.txt")
        await desk.decide(0, lines=HunkLines(old=(0,), new=(0,)))
        await desk.decide(1)
        desk.buffers.undo("f.txt")
        await desk.note()
        desk.buffers.save("f.txt")
        before = await desk.hunks()
        recorded = await events(desk.engine, desk.run_id)
        assert recorded
    async with bench.engine() as engine:
        assert list((await engine.changes(desk.run_id)).hunks()) == before
