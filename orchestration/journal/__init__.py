"""The journal: the durable, ordered events of every run of a workspace, and what its processes share.

`contract.py` is what the rest of the program knows. `sqlite.py` is the real one, `memory.py` its twin for
tests and simulation; both pass `tests/journal/test_contract.py`. `data_dir.py` says where it lives on disk.
Nothing here interprets events: the state of a run is their fold, in `orchestration/run.py`.
"""
