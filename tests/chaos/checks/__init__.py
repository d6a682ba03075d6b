"""What must hold of the logs of a run; each check returns how much it examined and what is wrong."""
