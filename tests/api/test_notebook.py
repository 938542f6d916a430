"""A verb in a notebook: chatter goes to a log, whichever way it is written; what is told stands below the cell."""

import json

import pytest

CELL = """
import logging, os, sys
from harray import Workspace
from harray.api.session import working

print("before")
with working(Workspace("out"), None) as (place, told):
    print("chatter by print")
    os.write(1, b"chatter by descriptor\\n")
    handler = logging.StreamHandler()
    logging.getLogger("chatter").addHandler(handler)
    logging.getLogger("chatter").warning("chatter by logger")
    told.say("a notice")
    with told.progress("training", "epochs") as update:
        update(1, 2, "loss 0.5")
        update(2, 2, "loss 0.1")
print("after")
logging.getLogger("chatter").warning("chatter of a logger that was made inside")
"""


def test_only_what_is_meant_for_people_stands_below_the_cell(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbclient.NotebookClient(book, timeout=60, resources={"metadata": {"path": str(tmp_path)}}).execute()
    below = json.dumps(book.cells[0].outputs)
    assert "chatter" not in below
    for wanted in ("before", "after", "a notice", "log: ", "training", "2/2 epochs", "loss 0.1"):
        assert wanted in below
    (log,) = (tmp_path / "out" / "logs").iterdir()
    kept = log.read_text()
    for wanted in ("by print", "by descriptor", "by logger", "made inside"):
        assert wanted in kept
