"""Which videos there are, and their frames."""
