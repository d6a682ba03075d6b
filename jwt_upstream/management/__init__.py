"""The commands: where their input comes from, what they do, and what they print."""
