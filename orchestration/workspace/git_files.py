"""Writing git's object files: loose for a few, a pack for many, flushed before the ids are given away.

Written here rather than by a library so that other threads run while the disk is waited for, and so that
a whole batch costs one pack (three flushes) instead of two flushes an object. Formats: gitformat-pack.
"""

import hashlib
import itertools
import os
import zlib
from collections.abc import Mapping
from pathlib import Path

from orchestration.workspace.durable import sync_descriptor, sync_folder, write_all
from orchestration.workspace.trees import RawObject

_PACK_FROM = 48  # objects; below that, loose ones are cheaper to keep many of
_LEVEL = 1
_NUMBERS = {"commit": 1, "tree": 2, "blob": 3}
_serial = itertools.count()


def write_objects(objects_folder: Path, objects: Mapping[str, RawObject]) -> None:
    """Everything is durable on return."""
    if len(objects) >= _PACK_FROM:
        write_pack(objects_folder / "pack", objects)
    elif objects:
        write_loose(objects_folder, objects)


def write_loose(folder: Path, objects: Mapping[str, RawObject]) -> None:
    written: list[tuple[int, str, str]] = []
    touched: dict[str, None] = {}
    try:
        for oid, (kind, body) in objects.items():
            home = f"{folder}/{oid[:2]}"
            final = f"{home}/{oid[2:]}"
            if home not in touched:
                try:
                    os.mkdir(home, 0o700)  # noqa: PTH102 - strings: this is the hot path of every edit
                    touched[str(folder)] = None
                except FileExistsError:
                    pass
                touched[home] = None
            if os.path.exists(final):  # noqa: PTH110 - as above
                continue
            fresh = f"{home}/tmp_obj_{os.getpid()}_{next(_serial)}"  # noqa: S108 - git's own name for one
            fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444)
            written.append((fd, fresh, final))
            write_all(fd, zlib.compress(b"%s %d\0%s" % (kind.encode(), len(body), body), _LEVEL))
        for fd, fresh, final in written:
            sync_descriptor(fd)
            os.rename(fresh, final)  # noqa: PTH104 - as above
    finally:
        for fd, fresh, _ in written:
            os.close(fd)
            if os.path.exists(fresh):  # noqa: PTH110 - only after a failure
                os.unlink(fresh)  # noqa: PTH108 - as above
    for home in touched:
        sync_folder(home)


def write_pack(folder: Path, objects: Mapping[str, RawObject]) -> None:
    digest = hashlib.sha1(usedforsecurity=False)
    rows: list[tuple[bytes, int, int]] = []
    fresh = folder / f"tmp_pack_{os.getpid()}_{next(_serial)}"
    index = fresh.with_name(fresh.name + "_idx")
    try:
        with fresh.open("xb", buffering=1 << 20) as file:
            at = 12
            head = b"PACK" + (2).to_bytes(4) + len(objects).to_bytes(4)
            digest.update(head)
            file.write(head)
            for oid, (kind, body) in objects.items():
                record = _record_head(_NUMBERS[kind], len(body)) + zlib.compress(body, _LEVEL)
                digest.update(record)
                file.write(record)
                rows.append((bytes.fromhex(oid), zlib.crc32(record), at))
                at += len(record)
            file.write(digest.digest())
            file.flush()
            sync_descriptor(file.fileno())
        rows.sort()
        with index.open("xb") as file:
            file.write(_index(rows, digest.digest()))
            file.flush()
            sync_descriptor(file.fileno())
        name = hashlib.sha1(b"".join(row[0] for row in rows), usedforsecurity=False).hexdigest()
        for path, ending in ((fresh, "pack"), (index, "idx")):  # readers look for the index: it comes last
            path.chmod(0o444)
            path.rename(folder / f"pack-{name}.{ending}")
    finally:
        fresh.unlink(missing_ok=True)
        index.unlink(missing_ok=True)
    sync_folder(folder)


def _record_head(number: int, size: int) -> bytes:
    """Type and size: four bits of the size in the first byte, then seven a byte, lowest first."""
    first = (number << 4) | (size & 15)
    size >>= 4
    out = bytearray()
    while size:
        out.append(first | 0x80)
        first = size & 0x7F
        size >>= 7
    out.append(first)
    return bytes(out)


def _index(rows: list[tuple[bytes, int, int]], pack_digest: bytes) -> bytes:
    """Version 2, rows sorted by id. Offsets stay below 2 GB: batches are bounded by their callers."""
    counts = [0] * 256
    for oid, _, _ in rows:
        counts[oid[0]] += 1
    body = b"".join(
        [
            b"\xfftOc" + (2).to_bytes(4),
            *(total.to_bytes(4) for total in itertools.accumulate(counts)),
            *(oid for oid, _, _ in rows),
            *(crc.to_bytes(4) for _, crc, _ in rows),
            *(at.to_bytes(4) for _, _, at in rows),
            pack_digest,
        ]
    )
    return body + hashlib.sha1(body, usedforsecurity=False).digest()
