"""The comparisons quoted in the documentation, side by side in one run: ``make bench``."""
