"""Locks, live and dead processes, and the file systems that a journal is not kept on."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from orchestration.journal.file_system import NETWORK, mounted_as, network_file_system
from orchestration.journal.liveness import identity, is_alive
from orchestration.journal.locks import FileLock, Holder, SharedLock, holder

MOUNTS = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:26 / /mnt/c rw,noatime - 9p drvfs rw,aname=drvfs;path=C:\\
31 22 0:40 / /home/ann/far rw - nfs4 nas:/export rw
32 31 0:41 / /home/ann/far/near rw - tmpfs tmpfs rw
33 22 0:42 / /media/with\\040space rw - fuse.sshfs ann@host:/ rw
34 22 0:43 / /over rw - nfs4 nas:/b rw
35 22 0:44 / /over rw - ext4 /dev/vdb rw
a line that is none
"""


class TestFileSystems:
    @pytest.mark.parametrize(
        ("path", "kind"),
        [
            ("/home/ann", "ext4"),
            ("/mnt/c/Users", "9p"),
            ("/mnt/cc", "ext4"),
            ("/home/ann/far/data", "nfs4"),
            ("/home/ann/far/near/data", "tmpfs"),
            ("/media/with space", "fuse.sshfs"),
            ("/over/data", "ext4"),
        ],
    )
    def test_the_deepest_mount_counts(self, path: str, kind: str) -> None:
        assert mounted_as(Path(path), MOUNTS) == kind
        assert (kind in NETWORK) == (kind in {"9p", "nfs4", "fuse.sshfs"})

    def test_this_disk_is_fine_though_the_folder_is_not_there_yet(self, tmp_path: Path) -> None:
        assert network_file_system(tmp_path / "not" / "yet") is None


class TestLiveness:
    def test_this_process_is_alive_and_a_later_one_of_its_number_is_another(self) -> None:
        known = identity(os.getpid())
        assert known
        assert is_alive(os.getpid(), known)
        assert not is_alive(os.getpid(), known + "0")

    def test_no_process(self) -> None:
        assert identity(0) is None
        assert identity(-1) is None
        assert not is_alive(2**22 + 1, "x")

    def test_a_killed_child_is_dead_before_anyone_has_waited_for_it(self) -> None:
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        known = identity(child.pid)
        assert known is not None
        assert is_alive(child.pid, known)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and is a zombie
        assert not is_alive(child.pid, known)
        child.communicate()
        assert not is_alive(child.pid, known)


class TestFileLock:
    def test_one_at_a_time_and_its_holder_is_named(self, tmp_path: Path) -> None:
        path = tmp_path / "run.lock"
        assert holder(path) is None
        lock = FileLock.take(path)
        assert lock is not None
        assert FileLock.take(path) is None
        found = holder(path)
        assert found is not None
        assert found.pid == os.getpid()
        lock.release()
        lock.release()
        assert holder(path) is None
        again = FileLock.take(path)
        assert again is not None
        again.release(remove=True)
        assert not path.exists()

    def test_what_a_dead_process_left_holds_nobody(self, tmp_path: Path) -> None:
        path = tmp_path / "run.lock"
        path.write_text('{"pid": 1, "identity": "another boot:1"}')
        assert holder(path) is None
        path.write_text("garbage")
        assert holder(path) is None
        assert FileLock.take(path) is not None

    def test_a_seized_lock_is_not_given_back_by_its_old_holder(self, tmp_path: Path) -> None:
        path = tmp_path / "run.lock"
        old, new = FileLock.take(path), FileLock.take(path, seize=True)
        assert old is not None
        assert new is not None
        old.release(remove=True)
        assert FileLock.take(path) is None
        assert isinstance(holder(path), Holder)
        new.release()

    def test_a_shared_lock_knows_whether_it_is_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "index.lock"
        left, right = SharedLock(path), SharedLock(path)
        assert not left.alone()
        assert not right.alone()
        right.release()
        assert left.alone()
        left.share()
        SharedLock(path).release()
        left.release()
