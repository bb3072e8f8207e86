"""Values that users give the round trip: JSON files, and Python that runs in a sandbox.

Those files come from the people who run the rollout. The sandbox contains their accidents: endless
loops, too much memory, printed secrets, a forgotten request to some service. It does not confine
malicious code, which runs as the same user and can read what this user can read.
"""
