import hashlib

import pytest

from harray.downloads import Release, fetch, weights_cache, whereabouts
from harray.errors import InputError
from harray.files import cache_dir

CONTENT = b"weights of a network"


@pytest.fixture
def release(tmp_path, monkeypatch):
    """A file that is published at a URL of this machine; the cache is empty."""
    monkeypatch.setenv("HARRAY_CACHE", str(tmp_path / "cache"))
    source = tmp_path / "published.pt"
    source.write_bytes(CONTENT)
    return Release(name="net.pt", url=source.as_uri(), sha256=hashlib.sha256(CONTENT).hexdigest())


def test_a_download_is_verified_then_kept(release):
    file = fetch(release, "poses.weights")
    assert file == weights_cache() / "net.pt"
    assert file.read_bytes() == CONTENT
    assert "in the cache" in whereabouts(release)


def test_the_cache_is_used_without_asking_the_network(release):
    weights_cache().mkdir(parents=True)
    (weights_cache() / "net.pt").write_bytes(CONTENT)
    gone = Release(name="net.pt", url="file:///nowhere", sha256=release.sha256)
    assert fetch(gone, "poses.weights").read_bytes() == CONTENT


def test_a_download_that_is_something_else_is_refused_and_not_kept(release):
    other = Release(name="net.pt", url=release.url, sha256="0" * 64)
    with pytest.raises(InputError, match=r"expected 0000000000000000… of file:"):
        fetch(other, "poses.weights")
    assert list(weights_cache().iterdir()) == []


def test_a_cached_file_that_is_something_else_is_refused(release):
    weights_cache().mkdir(parents=True)
    (weights_cache() / "net.pt").write_bytes(b"tampered")
    with pytest.raises(InputError, match=r"remove the file, or set poses.weights="):
        fetch(release, "poses.weights")


def test_without_network_the_message_says_which_file_to_put_where(release):
    gone = Release(name="net.pt", url="http://127.0.0.1:9/net.pt", sha256=release.sha256)
    with pytest.raises(InputError) as error:
        fetch(gone, "poses.weights")
    assert f"put the file at {weights_cache()}/net.pt or set poses.weights=PATH" in str(error.value)
    assert "http://127.0.0.1:9/net.pt cannot be reached (" in str(error.value)
    assert "\n" not in str(error.value)


def test_without_the_variable_the_users_cache_is_used(monkeypatch, tmp_path):
    monkeypatch.delenv("HARRAY_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_dir().name == "harray"
