"""The verbs of a bucket, on a real S3 server, and on one that fails."""

import threading

import pytest

from harray.errors import InputError
from harray.files import (
    BucketError,
    BucketPath,
    bucket,
    delete,
    list_files,
    list_tree,
    local_file,
    move,
    place,
    put_if_absent,
    write_atomically,
)
from tests.clusters import bucket as s3_bucket
from tests.servers import faulty


@pytest.fixture(scope="module")
def server():
    with s3_bucket("harray") as variables:
        yield variables


@pytest.fixture
def folder(server, monkeypatch, tmp_path, request):
    for name, value in {**server, "HARRAY_CACHE": str(tmp_path / "cache")}.items():
        monkeypatch.setenv(name, value)
    return place(f"s3://harray/{request.node.name[:60].replace('[', '-')}")


@pytest.fixture
def failing(folder, server, monkeypatch):
    with faulty(server["AWS_ENDPOINT_URL"]) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.url)
        yield proxy


def write(path, text):
    write_atomically(path, lambda part: part.write_text(text))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("s3://b/store/", BucketPath("s3://b", "store")),
        ("gs://b", BucketPath("gs://b", "")),
        ("az://b/a/b c?.mp4", BucketPath("az://b", "a/b c?.mp4")),
    ],
)
def test_a_uri_names_a_place_in_a_bucket(name, expected):
    assert place(name) == expected
    assert str(place(name)) == name.removesuffix("/")


def test_a_place_is_joined_and_taken_apart_as_a_path_is():
    file = place("s3://b/store") / "clips" / "a.parquet"
    assert (str(file), file.name, file.suffix) == ("s3://b/store/clips/a.parquet", "a.parquet", ".parquet")
    assert (str(file.parent), str(file.with_name("b"))) == ("s3://b/store/clips", "s3://b/store/clips/b")
    assert file.relative_to(place("s3://b/store")) == "clips/a.parquet"


@pytest.mark.parametrize(("name", "words"), [("odd://b/x", "found odd://"), ("s3://", "no bucket in it")])
def test_what_names_no_bucket_is_refused(name, words):
    with pytest.raises(InputError, match=words):
        place(name)


@pytest.mark.s3
def test_what_was_put_is_read_and_listed_until_it_is_deleted(folder):
    write(folder / "clips" / "b c?#%20.parquet", "old")
    write(folder / "clips" / "b c?#%20.parquet", "new")
    write(folder / "clips" / "a.parquet", "a")
    write(folder / "clips" / "a.txt", "text")
    write(folder / "clips" / ".hidden.parquet", "")
    write(folder / "clips" / "below" / "c.parquet", "")
    files = list_files(folder / "clips", ".parquet")
    assert [(file.name, file.num_bytes) for file in files] == [("a.parquet", 1), ("b c?#%20.parquet", 3)]
    assert files[1].path.read_text() == local_file(files[1]).read_text() == "new"
    assert len(list_tree(folder)) == 5
    move(files[0].path, folder / "damaged" / "a")
    delete([files[1].path, folder / "gone"])
    assert list_files(folder / "clips", ".parquet") == []
    assert (folder / "damaged" / "a").read_text() == "a"
    assert folder.exists() and not (folder / "clips" / "a.parquet").exists()
    with pytest.raises(FileNotFoundError):
        files[1].path.read_bytes()


@pytest.mark.s3
def test_of_many_who_put_the_same_object_one_wins(folder):
    won = []

    def try_it(number):
        if put_if_absent(folder / "a", lambda part: part.write_text(str(number))):
            won.append(number)

    threads = [threading.Thread(target=try_it, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(folder / "a").read_text()] == [str(number) for number in won]


@pytest.mark.s3
def test_an_object_is_replaced_only_where_it_is_still_the_one_that_was_seen(folder):
    first = bucket.create(folder / "a", b"1")
    second = bucket.replace(folder / "a", b"2", first)
    assert bucket.replace(folder / "a", b"3", first) is None
    assert bucket.read(folder / "a") == (b"2", second)
    assert bucket.replace(folder / "gone", b"3", first) is None


@pytest.mark.s3
@pytest.mark.parametrize("fault", [500, 503, "cut", "drop"])
def test_what_passes_is_tried_again(folder, failing, fault):
    failing.fail_first(fault, fault)
    write(folder / "a", "1")
    failing.fail_first(fault, fault)
    assert (folder / "a").read_text() == "1"
    failing.fail_first(fault, fault)
    assert [file.name for file in list_tree(folder)] == ["a"]


@pytest.mark.s3
def test_a_conflict_of_writers_is_tried_again(folder, failing):
    failing.fail_first(409, 409, method="PUT")
    version = bucket.create(folder / "a", b"1")
    assert version is not None
    failing.fail_first(409, 409, method="PUT")
    assert bucket.replace(folder / "a", b"2", version) is not None
    assert (folder / "a").read_text() == "2"


@pytest.mark.s3
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, "s3://nowhere: no such bucket; make it"),
        ({"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "http://127.0.0.1:9 does not answer"),
        ({"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}, "no credentials; set AWS_ACCESS_KEY_ID"),
    ],
)
def test_what_does_not_pass_is_one_clear_line(folder, monkeypatch, change, words):
    monkeypatch.setattr(bucket, "PATIENCE_SEC", 0.5)
    for name, value in change.items():
        monkeypatch.setenv(name, value) if value else monkeypatch.delenv(name)
    elsewhere = place("s3://nowhere/store")
    for ask in (lambda: list_tree(elsewhere), elsewhere.read_bytes, lambda: write(elsewhere / "a", "")):
        with pytest.raises(BucketError, match=words) as caught:
            ask()
        assert "\n" not in str(caught.value)


@pytest.mark.s3
def test_a_profile_of_the_users_is_taken(folder, server, monkeypatch, tmp_path):
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    lines = [f"{name.lower()} = {server[name]}" for name in keys]
    (tmp_path / "credentials").write_text("\n".join(["[mine]", *lines, ""]))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "mine")
    for name in keys:
        monkeypatch.delenv(name)
    write(folder / "a", "1")
    assert (folder / "a").read_text() == "1"


@pytest.mark.s3
@pytest.mark.parametrize(("status", "words"), [(403, "access denied"), (501, "knows no conditional writes")])
def test_a_refusal_says_what_to_look_at(folder, failing, monkeypatch, status, words):
    monkeypatch.setattr(bucket, "PATIENCE_SEC", 0.5)
    failing.fault = lambda method, path: status if method == "PUT" else None
    with pytest.raises(BucketError, match=words):
        put_if_absent(folder / "a", lambda part: part.write_text(""))
