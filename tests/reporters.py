"""Reporters for tests."""

import contextlib

from harray.reporting import Reporter


class Recorder(Reporter):
    """Keeps all that is told.

    Attributes:
        said, results: messages.
        updates: (title, done, total, note) of every bar.
    """

    def __init__(self):
        self.said, self.results, self.updates = [], [], []

    def say(self, message):
        self.said.append(message)

    def result(self, message):
        self.results.append(message)

    @contextlib.contextmanager
    def progress(self, title, unit):
        def update(done, total, note=""):
            self.updates.append((title, done, total, note))
            self.updated(done)

        yield update

    def updated(self, done):
        """What follows an update; for those who derive from it."""


class At(Recorder):
    """Does something when a bar is at a count."""

    def __init__(self, count, action):
        super().__init__()
        self.count, self.action = count, action

    def updated(self, done):
        if done == self.count:
            self.action()


def interrupt():
    """As Ctrl-C does."""
    raise KeyboardInterrupt
