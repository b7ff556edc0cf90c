"""Taking a checkpoint: the workspace as the user sees it, unsaved buffers included, and what its tree cannot hold."""

from collections.abc import Iterable

import msgspec

from orchestration import events as ev
from orchestration.engine_ports import EnginePorts
from orchestration.errors import PathRefusedError
from orchestration.fold_checkpoints import next_checkpoint
from orchestration.live_run import LiveRun
from orchestration.review.standing import FileWrite
from orchestration.workspace.objects import EXECUTABLE, FILE, Change
from orchestration.workspace.snapshotter import BaseSnapshot
from orchestration.workspace.tree_codec import object_id


class CheckpointTaker:
    def __init__(self, ports: EnginePorts) -> None:
        self._ports = ports

    async def snapshot(self) -> BaseSnapshot:
        """Durable, but named by nothing yet. Raises WorkspaceError."""
        documents = self._ports.documents.open_documents()
        buffers = {path: document.text for path, document in documents.items() if document.dirty}
        return await self._ports.snapshotter.take(self._ports.root, buffers=buffers)

    async def event(
        self,
        live: LiveRun,
        base: BaseSnapshot,
        before: ev.CheckpointBefore,
        subject: str,
        writes: Iterable[FileWrite] = (),
    ) -> ev.CheckpointTaken:
        """To be journaled before, or with, the intent of `subject`. What `writes` replace is in it for certain, even
        if it was changed since `base` was taken or is left out of snapshots.
        """
        snapshot = await self._ports.executor.run(self._covering, base.snapshot, tuple(writes))
        outside = ev.Outside(left_out=base.left_out, folders=base.folders)
        return ev.CheckpointTaken(
            checkpoint_id=next_checkpoint(live.state),
            snapshot=snapshot,
            before=before,
            subject=subject,
            files=base.files,
            outside=await live.put_blob(msgspec.json.encode(outside)),
        )

    def _covering(self, snapshot: str, writes: tuple[FileWrite, ...]) -> str:
        objects = self._ports.objects
        missing: dict[str, Change] = {}
        for write in writes:
            if write.before is None:
                continue
            try:
                path = self._ports.guard.resolve(self._ports.guard.inside(write.path))
            except PathRefusedError:
                continue  # and so nothing is written there
            entry = objects.entry(snapshot, path)
            if entry is None or entry.oid != object_id("blob", write.before):
                mode = EXECUTABLE if entry is not None and entry.mode == EXECUTABLE else FILE
                missing[path] = Change(write.before, mode)
        if not missing:
            return snapshot
        return objects.commit(
            objects.write(snapshot, missing), [], "checkpoint", when=self._ports.clock.now()
        )


async def outside_of(ports: EnginePorts, run_id: str, digest: str) -> ev.Outside:
    """What a checkpoint's tree does not hold. Raises NotFoundError."""
    if not digest:
        return ev.Outside()
    return msgspec.json.decode(await ports.journal.read_blob(run_id, digest), type=ev.Outside)
