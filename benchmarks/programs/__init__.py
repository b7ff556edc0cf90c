"""The measured programs: each is started as `python -m benchmarks.programs.NAME` and prints one JSON line."""
