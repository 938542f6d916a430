"""A server follows its alias, and its shadow is recorded."""

import pytest
from fastapi.testclient import TestClient

from harray.serving.protocol import pack_frame
from harray.serving.shadow import Tally
from harray.tracking.location import connect
from harray.tracking.registry import pinned
from tests.serving.local import local_application
from tests.serving.models import frames_of, jpegs_of, looped
from tests.serving.registries import CHAMPION, point, registered

pytestmark = [pytest.mark.slow, pytest.mark.mlflow]


@pytest.fixture(scope="module")
def uri(little_model, tmp_path_factory):
    return registered(tmp_path_factory.mktemp("registry"), [little_model, little_model])


def test_an_alias_is_pinned_to_its_version_and_a_folder_stays_as_it_is(uri, little_model):
    point(uri, 1)
    assert pinned(CHAMPION, uri) == "models:/actions/1"
    assert pinned("models:/actions/latest", uri) == "models:/actions/2"
    assert pinned(str(little_model), uri) == str(little_model)


def test_a_socket_stays_open_as_the_alias_moves_and_says_so(uri):
    point(uri, 1)
    application, _ = local_application(CHAMPION, tracking_uri=uri, poll_sec=0.2)
    jpegs = looped(jpegs_of(frames_of("lift_box")), 10**6)
    with TestClient(application) as client, client.websocket_connect("/ws") as socket:
        socket.send_json({"type": "hello"})
        assert socket.receive_json()["version"] == "1"
        hellos, versions, tracks = [], [], set()
        for number in range(400):
            if number == 30:
                point(uri, 2)
            socket.send_bytes(pack_frame(40.0 * (number + 1), number, next(jpegs)))
            while (said := socket.receive_json())["type"] == "hello":
                hellos.append(said["version"])
            versions.append(said["version"])
            tracks |= {track["track"] for track in said["tracks"]}
            if versions[-5:] == ["2"] * 5:
                break
        assert hellos == ["2"]
        assert versions[0] == "1" and versions[-1] == "2" and versions == sorted(versions)
        assert tracks == {0}  # who is followed stays who they are
        assert client.get("/healthz").json() == {"status": "ok", "model": CHAMPION, "version": "2"}
        assert f'harray_model_info{{model="{CHAMPION}",version="2"}} 1.0' in client.get("/metrics").text


def test_a_version_that_cannot_be_loaded_changes_nothing(uri):
    point(uri, 1)
    application, hub = local_application(CHAMPION, tracking_uri=uri)
    with TestClient(application) as client:
        client.portal.call(hub.following.look)
        connect(uri).create_model_version("actions", source="file:///nowhere")
        point(uri, 3)
        client.portal.call(hub.following.look)
        health = client.get("/healthz").json()
        assert health["version"] == "1" and "no such folder" in health["trouble"]
        point(uri, 2)
        client.portal.call(hub.following.look)
        assert client.get("/healthz").json() == {"status": "ok", "model": CHAMPION, "version": "2"}


def test_a_shadow_sees_the_same_windows_and_its_disagreement_goes_to_mlflow(uri):
    point(uri, 1)
    point(uri, 2, "challenger")
    shadow = "models:/actions@challenger"
    application, _ = local_application(CHAMPION, tracking_uri=uri, shadow=shadow)
    with TestClient(application) as client, client.websocket_connect("/ws") as socket:
        socket.send_json({"type": "hello"})
        socket.receive_json()
        for number, jpeg in enumerate(looped(jpegs_of(frames_of("lift_box")), 90)):
            socket.send_bytes(pack_frame(40.0 * (number + 1), number, jpeg))
            assert "shadow" not in socket.receive_json()
    runs = connect(uri).search_runs(["1"], "tags.`harray.shadow` = 'models:/actions/2'")
    [run] = runs
    assert run.data.tags["harray.served"] == "models:/actions/1"
    assert run.data.metrics["shadow.windows"] >= 1
    assert run.data.metrics["shadow.disagreement"] == 0.0  # it is the same model
    assert run.info.status == "FINISHED"


def test_disagreement_is_the_share_of_windows_with_another_label():
    class Said:
        def __init__(self, label):
            self.label = label

    tally = Tally()
    assert tally.metrics() == {"shadow.windows": 0.0, "shadow.disagreed": 0.0}
    tally.add([Said("a"), Said("b")], [Said("a"), Said("c")])
    tally.add([Said("b")] * 2, [Said("b")] * 2)
    assert tally.metrics() == {"shadow.windows": 4.0, "shadow.disagreed": 1.0, "shadow.disagreement": 0.25}
