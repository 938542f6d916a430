"""The one exception that means: the user must change something."""


class InputError(ValueError):
    """Bad input: the message says what was found, what was expected and what to do next, in one line.

    The command line prints the message alone and exits with 2. Anything else that escapes is a fault of
    harray's and exits with 1.
    """
