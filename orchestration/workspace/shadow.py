"""The shadow repository: a bare git repository of ours, beside the journal, that holds every snapshot.

It has its own objects (no alternates: a `gc` of the user's would take borrowed ones away) and settings
under which bytes stay as they are, whatever the workspace's `.gitattributes` say. It is laid out here
without running git. The user's own repository is never written and its configuration never honoured.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from orchestration.errors import WorkspaceError
from orchestration.workspace.durable import replace_file, sync_folder, write_new
from orchestration.workspace.git import Git
from orchestration.workspace.stat_cache import remembered_tree

_CONFIG = """\
[core]
\trepositoryformatversion = 0
\tbare = true
\tfilemode = true
\tsymlinks = true
\tignorecase = false
\tprecomposeunicode = false
\tautocrlf = false
\tsafecrlf = false
\tprotectNTFS = false
\tprotectHFS = false
\tfsync = objects
\thooksPath = /dev/null
\tattributesFile = /dev/null
\texcludesFile = /dev/null
\tfsmonitor = false
\tlogAllRefUpdates = false
[gc]
\tauto = 0
[merge]
\trenormalize = false
\tdirectoryRenames = false
\tconflictStyle = merge
[index]
\tthreads = 1
"""
ATTRIBUTES = "* -text -eol -ident -filter -working-tree-encoding !diff !merge\n"


class ShadowRepository:
    """`path` is its git directory; it lies in the workspace's data folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, path: Path) -> "ShadowRepository":
        """Creates it when it is missing; settings of an older version are renewed. Raises WorkspaceError
        when the place cannot be used.
        """
        try:
            if not (path / "HEAD").is_file():
                _create(path)
            _keep_text(path / "config", _CONFIG)
            _keep_text(path / "info" / "attributes", ATTRIBUTES)
        except OSError as fault:
            raise WorkspaceError(f"the snapshots' folder {path} cannot be used: {fault.strerror}") from fault
        return cls(path)

    async def collect(self, git: Git, keep: Iterable[str], *, older_than_s: float) -> None:
        """Frees what no id of `keep` (snapshots and trees) needs and what is older; repacks the rest. The last
        snapshot's tree is kept, too: the cache of file states counts on it. Unknown ids are passed over.
        """
        wanted = {*keep, remembered_tree(self.path.parent)} - {""}
        asked = "".join(f"{oid}\n" for oid in sorted(wanted)).encode()
        said = await git.run(
            ["cat-file", "--batch-check=%(objectname) %(objecttype)"], git_dir=self.path, stdin=asked
        )
        rows = [line.split(b" ") for line in said.output.splitlines()]
        there = [row[0].decode() for row in rows if row[1] in {b"commit", b"tree", b"blob"}]
        pins = [f"{oid} refs/antiphon/{number:08}\n" for number, oid in enumerate(there)]
        replace_file(
            self.path / "packed-refs", "".join(["# pack-refs with: sorted \n", *pins]).encode(), 0o600
        )
        expire = f"{int(older_than_s)}.seconds.ago" if older_than_s > 0 else "now"
        await git.run(
            ["repack", "-A", "-d", "-q", f"--unpack-unreachable={expire}"],
            git_dir=self.path,
            timeout_s=3600,
            brief=False,
        )
        await git.run(["prune", f"--expire={expire}"], git_dir=self.path, timeout_s=3600, brief=False)


def _create(path: Path) -> None:
    """Whole or not at all: made beside, then moved into place."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    for folder in ("objects/info", "objects/pack", "refs/heads", "refs/tags", "info"):
        (fresh / folder).mkdir(mode=0o700, parents=True)
    write_new(fresh / "config", _CONFIG.encode(), 0o600)
    write_new(fresh / "HEAD", b"ref: refs/heads/main\n", 0o600)
    try:
        fresh.rename(path)
    except OSError:
        if not (path / "HEAD").is_file():  # else another process was faster
            raise
        shutil.rmtree(fresh)
    sync_folder(path.parent)


def _keep_text(path: Path, text: str) -> None:
    try:
        if path.read_text() == text:
            return
    except FileNotFoundError:
        pass
    replace_file(path, text.encode(), 0o600)
