"""Workers, upstreams and a database that fail at random, and a check of everything that was logged meanwhile.

``python -m tests.chaos`` (``make chaos``) runs it; the seed decides which faults come when.
"""
