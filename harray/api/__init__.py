"""The verbs, one file each, for whoever calls: notebook, command line, job, demo. They print nothing: what they tell
goes to a `Reporter`, what libraries write to a log."""
