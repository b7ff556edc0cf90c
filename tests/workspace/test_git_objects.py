"""What only the git store promises: files git itself accepts, durable before their ids are given, and
settings under which nobody's configuration or attributes matter.
"""
# ruff: noqa: ASYNC221 - a test may block its own loop for a moment

import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestration.errors import ConfigurationError, NotFoundError, WorkspaceError
from orchestration.workspace.git import Git
from orchestration.workspace.git_objects import GitObjects
from orchestration.workspace.local_launcher import LocalLauncher
from orchestration.workspace.objects import Change
from orchestration.workspace.shadow import ShadowRepository
from orchestration.workspace.tree_codec import EMPTY_TREE

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("files", [3, 500])
async def test_git_accepts_what_is_written(
    git_store: GitObjects, shadow: ShadowRepository, git: Git, files: int
) -> None:
    tree = git_store.write(EMPTY_TREE, {f"d{n % 7}/f{n}": Change(b"%d\n" % n * n) for n in range(files)})
    snapshot = git_store.commit(tree, [], "base", when=1_700_000_000)
    assert len(list((shadow.path / "objects/pack").glob("*.idx"))) == (files > 48)
    await git.run(["fsck", "--strict", "--no-dangling"], git_dir=shadow.path)
    listed = await git.run(["ls-tree", "-r", "--name-only", "-z", snapshot], git_dir=shadow.path)
    assert listed.output.decode().split("\0")[:-1] == [path for path, _ in git_store.entries(snapshot)]
    shown = await git.run(["show", f"{snapshot}:d2/f2"], git_dir=shadow.path)
    assert shown.output == b"2\n2\n"


async def test_another_process_sees_new_objects_at_once(
    git_store: GitObjects, shadow: ShadowRepository, git: Git
) -> None:
    other = GitObjects(shadow, git)
    for number, count in enumerate((3, 500)):
        with pytest.raises(NotFoundError):
            other.blob("0" * 40)
        tree = git_store.write(EMPTY_TREE, {f"{number}/{n}": Change(b"%d" % n) for n in range(count)})
        assert len(list(other.entries(tree))) == count


async def test_collecting_keeps_what_is_named_and_frees_the_rest(
    git_store: GitObjects, shadow: ShadowRepository, git: Git
) -> None:
    kept = git_store.commit(git_store.write(EMPTY_TREE, {"a": Change(b"kept")}), [], "k")
    kept_tree = git_store.write(kept, {"b": Change(b"kept too")})
    lost = git_store.write(EMPTY_TREE, {f"{n}": Change(b"lost %d" % n) for n in range(100)})
    await shadow.collect(git, [kept, kept_tree, "dead" * 10, "not an id"], older_than_s=0)
    fresh = GitObjects(shadow, git)
    assert fresh.read(kept, "a") == b"kept"
    assert fresh.read(kept_tree, "b") == b"kept too"
    with pytest.raises(NotFoundError, match="antiphon gc"):
        fresh.tree_of(lost)
    await shadow.collect(git, [], older_than_s=3600)
    assert GitObjects(shadow, git).read(kept, "a") == b"kept"


async def test_threads_may_read_and_write_at_once(
    git_store: GitObjects, git: Git, shadow: ShadowRepository
) -> None:
    base = git_store.write(EMPTY_TREE, {f"d{n}/f": Change(b"%d" % n) for n in range(60)})

    def work(number: int) -> str:
        tree = base
        for step in range(10):
            tree = git_store.write(tree, {f"d{number}/g{step % 3}": Change(b"%d %d" % (number, step))})
            assert git_store.read(tree, f"d{step}/f") == b"%d" % step
            git_store.write(base, {"same": Change(b"the same %d" % step)})
        return tree

    with ThreadPoolExecutor(8) as threads:
        trees = list(threads.map(work, range(16)))
    assert all(git_store.read(tree, f"d{n}/g0") == b"%d 9" % n for n, tree in enumerate(trees))
    await git.run(["fsck", "--strict", "--no-dangling"], git_dir=shadow.path)


async def test_opening_again_renews_the_settings(shadow: ShadowRepository, tmp_path: Path) -> None:
    (shadow.path / "config").write_text("[core]\n\tbare = true\n")
    (shadow.path / "info/attributes").unlink()
    ShadowRepository.open(shadow.path)
    assert "autocrlf = false" in (shadow.path / "config").read_text()
    assert (shadow.path / "info/attributes").read_text().startswith("* -text")
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkspaceError, match="cannot be used"):
        ShadowRepository.open(tmp_path / "file" / "x")


async def test_incident_8_no_configuration_of_others_is_honoured(
    shadow: ShadowRepository, launcher: LocalLauncher, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spy = tmp_path / "spy"
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(
        f"[core]\n\tfsmonitor = touch {spy}\n\thooksPath = {home}\n[alias]\n\tmerge-tree = !touch {spy}\n"
        f'[merge "evil"]\n\tdriver = touch {spy}\n'
    )
    for name, value in {
        "HOME": str(home),
        "GIT_DIR": "/none",
        "GIT_CONFIG_COUNT": "1",
        "GIT_EXEC_PATH": str(home),
    }.items():
        monkeypatch.setenv(name, value)
    store = GitObjects(shadow, await Git.find(launcher))
    base = store.commit(
        store.write(EMPTY_TREE, {".gitattributes": Change(b"* merge=evil\n"), "f": Change(b"1\n")}), [], "b"
    )
    left = store.commit(store.write(base, {"f": Change(b"2\n")}), [base], "l")
    right = store.commit(store.write(base, {"f": Change(b"3\n")}), [base], "$(touch spy) `x`")
    assert len((await store.merge([left, right], "m")).conflicts) == 1
    assert not spy.exists()


async def test_a_missing_or_old_git_is_named(launcher: LocalLauncher, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"install git 2\.38"):
        await Git.find(launcher, path=str(tmp_path))
    fake = tmp_path / "git"
    fake.write_text("#!/bin/sh\necho git version 2.30.1\n")
    fake.chmod(0o755)
    with pytest.raises(ConfigurationError, match=r"git version 2\.30\.1; Antiphon needs git 2\.38"):
        await Git.find(launcher, path=str(tmp_path))
    assert (await Git.find(launcher, path=str(tmp_path), forbidden=[tmp_path])).program == "/usr/bin/git"


_WRITER = """
import sys
from pathlib import Path
from orchestration.workspace.git_files import write_objects
from orchestration.workspace.tree_codec import object_id
from orchestration.workspace.trees import RawObject
bodies = [b"content %d" % n for n in range(int(sys.argv[2]))]
write_objects(Path(sys.argv[1]), {object_id("blob", b): RawObject("blob", b) for b in bodies})
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
@pytest.mark.parametrize(("count", "files"), [(3, 3), (60, 2)])
async def test_a_trace_shows_every_object_flushed_before_its_name(
    shadow: ShadowRepository, tmp_path: Path, count: int, files: int
) -> None:
    trace = tmp_path / "trace"
    subprocess.run(
        ["strace", "-f", "-y", "-o", trace, "-e", "trace=fsync,rename", sys.executable, "-c", _WRITER,
         shadow.path / "objects", str(count)],
        check=True,
    )  # fmt: skip
    flushed: set[str] = set()
    names: set[str] = set()
    renamed = 0
    for line in trace.read_text().splitlines():
        if found := re.search(r"fsync\(\d+<(.+?)>\)\s+= 0", line):
            flushed.add(found[1])
            names.discard(found[1])
        elif found := re.search(r'rename\("(.+?)", "(.+?)"\)\s+= 0', line):
            assert found[1] in flushed
            names.add(found[2].rpartition("/")[0])
            renamed += 1
    assert renamed == files
    assert names == set(), "folders whose new names were never flushed"
