"""The benchmarks: what docs/benchmarks.md states, measured. Figures and ratios, never a timed test.

python -m harness.bench [kill] [probe] [operator]
"""
