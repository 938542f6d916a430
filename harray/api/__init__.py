"""The main jobs from end to end, for whoever calls: command line, jobs, demo. They print nothing."""
