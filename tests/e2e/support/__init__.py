"""What the end-to-end tests share: the programs as processes, their sources and targets, and the checks."""
