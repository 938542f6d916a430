"""Compaction: fewer files, the same content, whatever dies in between and whoever reads meanwhile."""

import pytest

from harray.errors import InputError
from harray.files import list_files
from harray.store import FeatureStore, compact, parts
from harray.store.retire import retire
from harray.store.verify import verify
from tests.store.test_feature_store import SETTINGS, broken, clip, outcome

NUM_BATCHES = 6


@pytest.fixture
def store(tmp_path):
    """Six batches of two clips; some inputs came twice, one is quarantined, one retired."""
    store = FeatureStore.create(tmp_path / "store", SETTINGS)
    for batch in range(NUM_BATCHES):
        names = [f"{batch}a", f"{batch}b"]
        store.write_shard([clip(name, value=batch / 10) for name in names])
        store.append_ledger([outcome(f"/{name}", name) for name in names])
    store.append_ledger([outcome("/0a", "0a", label="sit"), broken("/broken")])
    retire(store.path, {"/1b"}, "test")
    return store


def content(store):
    """All that a store says, as plain values."""
    table = FeatureStore.open(store.path).read()
    return (
        store.ledger().to_pylist(),
        table.drop_columns("keypoints").to_pylist(),
        table["keypoints"].to_pylist(),
    )


def num_files(store):
    return tuple(len(list_files(store.path / folder, ".parquet")) for folder in ("ledger", "clips"))


def test_a_compacted_store_says_the_same_in_one_part_and_one_shard(store):
    before = content(store)
    done = compact.compact(store)
    assert (done.parts_before, done.shards_before) == (NUM_BATCHES + 2, NUM_BATCHES)
    assert (done.parts, done.shards) == num_files(store) == (1, 1)
    assert content(store) == before
    assert verify(store).problems == []
    assert compact.compact(store).shards == 1  # nothing left to do


class Killed(BaseException):
    """Ends compaction as a kill would."""


@pytest.mark.parametrize("step", range(30))
def test_a_compaction_killed_at_any_step_leaves_an_equal_store_and_the_next_one_finishes(
    store, monkeypatch, step
):
    before = content(store)
    monkeypatch.setattr(compact, "SHARD_BYTES", 20_000)  # several shards of several
    done = 0

    def dying(verb):
        def die_or_do(*arguments):
            nonlocal done
            done += 1
            if done > step:
                raise Killed
            return verb(*arguments)

        return die_or_do

    with monkeypatch.context() as patch:
        patch.setattr(compact, "delete", lambda paths: [dying(compact_delete)([path]) for path in paths])
        patch.setattr(FeatureStore, "write_shard", dying(FeatureStore.write_shard))
        patch.setattr(FeatureStore, "append_ledger", dying(FeatureStore.append_ledger))
        try:
            compact.compact(store)
        except Killed:
            assert content(store) == before
            assert verify(store).problems == []
    compact.compact(store)
    assert content(store) == before
    assert verify(store).notes == [note for note in verify(store).notes if "twice" not in note]
    assert num_files(store)[0] == 1


compact_delete = compact.delete


def test_whoever_reads_while_files_are_merged_gets_everything(store, monkeypatch):
    before, read_part = content(store), parts.read_part
    waiting = [True]

    def compact_first(*arguments, **options):
        if waiting:  # the files are listed, none is read yet
            waiting.clear()
            compact.compact(store)
        return read_part(*arguments, **options)

    for module in ("shards", "snapshot"):
        with monkeypatch.context() as patch:
            patch.setattr(f"harray.store.{module}.read_part", compact_first)
            waiting.append(True)
            store.append_ledger([outcome("/0a", "0a", label="sit")])
            store.write_shard([clip("0a", value=0)])
            assert [row["path"] for row in content(store)[0]] == [row["path"] for row in before[0]]
            assert content(store)[2] == before[2]


def test_large_shards_are_left_as_they_are(store, monkeypatch):
    monkeypatch.setattr(compact, "SMALL_BYTES", 0)
    assert compact.compact(store).shards == NUM_BATCHES


def test_what_is_few_is_left_as_it_is_unless_it_is_asked_for(store):
    assert num_files(store) == (NUM_BATCHES + 2, NUM_BATCHES)
    compact.compact(store, least=100)
    assert num_files(store) == (NUM_BATCHES + 2, NUM_BATCHES)


def test_a_damaged_shard_is_not_merged_into_a_sound_one(store):
    file = next(
        file for file in list_files(store.path / "clips", ".parquet") if b"0a" in file.path.read_bytes()
    )
    data = bytearray(file.path.read_bytes())
    data[data.index(b"0a")] ^= 1  # of a clip_id
    file.path.write_bytes(data)
    with pytest.raises(InputError, match="cannot be read"):
        compact.compact(store)
    assert num_files(store)[1] == NUM_BATCHES


def test_the_command_says_how_many_files_there_were_and_are(store, harray):
    ending = harray("store", "compact", store.path, "--json")
    assert ending.code == 0, ending.err
    assert (ending.json["parts_before"], ending.json["parts"]) == (NUM_BATCHES + 2, 1)
    assert (ending.json["shards_before"], ending.json["shards"]) == (NUM_BATCHES, 1)
