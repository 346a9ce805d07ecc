//! Processes that warmkeep did not start in this run, found through /proc.
