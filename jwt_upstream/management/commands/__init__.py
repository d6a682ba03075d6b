"""The commands that ``manage.py`` finds by name."""
