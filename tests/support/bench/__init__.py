"""The benchmarks: what docs/benchmarks.md states, measured. Figures and ratios, never a timed test.

python -m bench [kill] [probe] [operator]
"""
