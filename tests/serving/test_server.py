"""What is refused before anything is started."""

import socket

import pytest

from harray.errors import InputError
from harray.serving.config import Address
from harray.serving.server import check_address
from tests.clusters import free_ports
from tests.toys import untrained_checkpoint


def test_beyond_localhost_there_is_a_token_or_no_server():
    (port,) = free_ports(1)
    check_address(Address(port=port), None)
    check_address(Address(host="0.0.0.0", port=port), "secret")
    with pytest.raises(InputError, match=r"listens beyond this machine; give guests a token with --token"):
        check_address(Address(host="0.0.0.0", port=port), None)


def test_a_port_that_is_taken_is_told_before_anything_starts():
    with socket.create_server(("127.0.0.1", 0)) as holder:
        port = holder.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port} of 127.0.0.1: cannot be listened on"):
            check_address(Address(port=port), None)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--replicas", "many"), "expected auto or a number from 1"),
        (("--replicas", "0"), "expected auto or a number from 1"),
        (("--host", "0.0.0.0"), "give guests a token"),
        (("--shadow", "nowhere"), "model nowhere: no such folder"),
        (("--port", "0"), "--port"),
    ],
)
def test_the_command_says_in_a_line_what_to_change(harray, tmp_path, monkeypatch, flags, said):
    monkeypatch.delenv("HARRAY_TOKEN", raising=False)
    model = untrained_checkpoint(tmp_path / "model")
    ended = harray("serve", model, "--out", tmp_path / "out", *flags)
    assert ended.code == 2
    assert said in ended.err.splitlines()[-1]


def test_a_model_that_is_not_there_is_told_at_once(harray, tmp_path):
    ended = harray("serve", "models:/nobody@champion", "--out", tmp_path)
    assert ended.code == 2
    assert "nobody" in ended.err.splitlines()[-1]
