"""A deterministic simulation of the whole engine: one seed drives time, scheduling, the model, the disk and crashes.

`python -m tests.simulation --seeds 0:2000` runs seeds; a failure prints its seed. Nothing of the engine is
patched: it runs over its ports. The oracles stand outside it, in the records of what the model and the disk saw.
"""
