"""requests' own test suite, run with our client in the place of its Session: ``make test-requests``.

It is downloaded from PyPI and not part of this project. ``differences.txt`` has the tests that must fail, and why.
"""
