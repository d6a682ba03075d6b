"""A project as type checkers see it: mypy and pyright, both strict, find nothing in it but what it marks as wrong.

Nothing of it is run. ``make types`` checks it, and fails where a marked line is not found wrong.
"""
