"""Tests of what accounts have of their own at an upstream."""
