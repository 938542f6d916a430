"""The writer's lock, held by real processes."""

import os
import signal
import subprocess
import sys

import pytest

from harray.errors import InputError
from harray.files import PART_SUFFIX
from harray.store.lock import HOLDER_FILE, writing

HOLD = """
import sys, time
from pathlib import Path
from harray.store.lock import writing
with writing(Path(sys.argv[1]), "harray extract"):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, tmp_path], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


@pytest.mark.slow
def test_a_second_writer_is_told_who_the_first_one_is(tmp_path, holder):
    expected = rf"`harray extract` \(process {holder.pid} on .*\) is writing to it; wait for its end"
    with pytest.raises(InputError, match=expected), writing(tmp_path, "harray store verify --repair"):
        pass


def test_a_killed_writer_leaves_no_lock_and_its_half_files_are_cleared_away(tmp_path, holder):
    half = tmp_path / "clips" / f".a.parquet.{holder.pid}{PART_SUFFIX}"
    half.parent.mkdir()
    half.write_bytes(b"PAR1")
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    with writing(tmp_path, "harray extract"):
        assert not half.exists()
        assert f'"pid": {os.getpid()}' in (tmp_path / HOLDER_FILE).read_text()
    assert not (tmp_path / HOLDER_FILE).exists()
