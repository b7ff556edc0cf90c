"""What kind of file system a folder is on: the journal refuses the ones whose locks and shared memory lie.

SQLite's WAL needs memory shared by all processes that open a file, and locks that hold between them; a
network file system has neither (https://sqlite.org/wal.html, https://sqlite.org/howtocorrupt.html).
"""

import ctypes
import os
import re
import struct
import sys
from pathlib import Path

NETWORK = frozenset(
    {
        "9p", "drvfs", "v9fs",  # shared folders of virtual machines; Windows drives under WSL
        "nfs", "nfs3", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "afpfs", "ncpfs", "webdav", "coda",
        "ceph", "glusterfs", "lustre", "beegfs", "gpfs", "orangefs", "pvfs2",
        "fuse.sshfs", "fuse.ceph", "fuse.glusterfs", "fuse.rclone", "fuse.s3fs", "fuse.gcsfuse", "fuse.davfs",
        "fuse.smbnetfs", "fuse.curlftpfs", "fuse.goofys", "fuse.juicefs", "fuse.gvfsd-fuse", "fuse.vmhgfs-fuse",
    }
)  # fmt: skip


def network_file_system(folder: Path) -> str | None:
    """The name of the network file system that `folder` (or its nearest existing parent) is on, else None."""
    existing = Path(os.path.realpath(folder))
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    if sys.platform == "linux":
        try:
            table = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")
        except OSError:
            return None
        kind = mounted_as(existing, table)
    elif sys.platform == "darwin":
        return _darwin_network(existing)
    else:
        kind = None
    return kind if kind in NETWORK else None


def mounted_as(path: Path, mountinfo: str) -> str | None:
    """The type of the mount that holds `path`, from the text of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

    Of mounts on the same point the last one counts: it hides the others.
    """
    best, kind = -1, None
    for line in mountinfo.splitlines():
        before, separator, after = line.partition(" - ")
        fields = before.split(" ")
        if not separator or len(fields) < 5:
            continue
        point = Path(_unescaped(fields[4]))
        depth = len(point.parts)
        if depth >= best and (path == point or point in path.parents):
            best, kind = depth, after.split(" ", 1)[0]
    return kind


def _unescaped(field: str) -> str:
    """Space, tab, newline and backslash stand there as three octal digits after a backslash."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), field)


def _darwin_network(path: Path) -> str | None:
    # struct statfs of <sys/mount.h> (64-bit inodes): f_flags at 64, f_fstypename[16] at 72.
    buffer = ctypes.create_string_buffer(4096)
    libc = ctypes.CDLL(None)
    call = getattr(libc, "statfs$INODE64", None) or libc.statfs
    if call(os.fsencode(path), buffer) != 0:
        return None
    local = struct.unpack_from("<I", buffer, 64)[0] & 0x1000  # MNT_LOCAL
    kind = buffer.raw[72:88].split(b"\0", 1)[0].decode("ascii", "replace")
    return kind if not local or kind in NETWORK else None
