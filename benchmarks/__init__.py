"""Every published figure has its script here: `python -m benchmarks` measures all and writes the report.

One module per benchmark, each with a frozen `Sizes` (FULL and TINY) and `run(sizes) -> Outcome`. What is
measured runs as a process of its own (`programs/`), so that neither its imports nor its CPU are mixed with
those of the bench or of the model server. Nothing of this folder is installed with the product.
"""
