"""How a command ends: its exit code, its last line, and no password in either or in the log."""

import os
import signal
import time
from pathlib import Path

import pytest

from harray.api import doctor
from harray.cli.terminal import GO_ON, Interrupted, session
from harray.errors import InputError

SECRET = "http://me:s3cret@tracker:5000"


def terminated():
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(5)
    pytest.fail("SIGTERM did nothing")


def raising(error):
    def work():
        raise error

    return work


@pytest.mark.parametrize(
    ("work", "code", "said"),
    [
        (raising(KeyboardInterrupt()), 130, "harray: interrupted; give the command again"),
        (terminated, 130, "harray: interrupted; give the command again"),
        (
            raising(SystemExit(15)),
            130,
            "harray: interrupted; give the command again",
        ),  # Ray's handler of SIGTERM
        (raising(SystemExit(0)), 130, "harray: interrupted; give the command again"),  # Ray Train's of SIGINT
        (raising(InputError(f"{SECRET}: no")), 2, "harray: http://me:***@tracker:5000: no"),
        (
            raising(RuntimeError(f"{SECRET}\nno")),
            1,
            "harray: a fault of harray's own: RuntimeError: http://me:***@tracker:5000 no (traceback at the end of",
        ),
    ],
    ids=["Ctrl-C", "SIGTERM", "Ray's SIGTERM", "Ray Train's Ctrl-C", "the user's", "ours"],
)
def test_every_ending_has_its_code_and_its_line(tmp_path, monkeypatch, harray, work, code, said):
    monkeypatch.setattr(doctor, "_torch", work)
    before = signal.getsignal(signal.SIGTERM)
    ending = harray("doctor", "--out", tmp_path)
    assert ending.code == code
    assert ending.err.splitlines()[-1].startswith(said)
    assert signal.getsignal(signal.SIGTERM) is before
    (log,) = (tmp_path / "logs").iterdir()
    assert "s3cret" not in ending.err + ending.out + log.read_text()


@pytest.mark.parametrize("command", sorted(GO_ON))
def test_what_can_be_gone_on_with_says_how(tmp_path, command):
    def stop():
        with session(tmp_path, command, as_json=False):
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="same command"):
        stop()


@pytest.mark.parametrize("as_json", [False, True])
def test_no_password_is_printed_in_an_answer(tmp_path, capfd, as_json):
    with session(tmp_path, "demo", as_json) as terminal:
        terminal.say(f"waiting for {SECRET}")
        terminal.result(f"MLflow: {SECRET}")
        terminal.json({"tracking_uri": SECRET, "folder": str(Path("a@b"))})
    printed = "".join(capfd.readouterr())
    assert "s3cret" not in printed
    assert printed.count("me:***@tracker:5000") == 2 + as_json
