"""The web application, without Ray: what good guests get, and bad ones."""

import io
import json
import logging

import av
import numpy as np
import onnx
import pytest
from fastapi.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from harray.errors import InputError
from harray.poses.detector import PoseDetector
from harray.poses.letterbox import fit, letterbox_for
from harray.serving.browser_poses import FILES, runtime_files
from harray.serving.config import Limits
from harray.serving.demo_clip import demo_clip
from harray.serving.protocol import pack_frame, pack_poses
from harray.synth.render import write_video
from tests.serving.local import local_application
from tests.serving.models import LABELS, frames_of, jpegs_of, looped
from tests.toys import untrained_checkpoint

pytestmark = pytest.mark.slow  # a model is trained first

HELLO = {"type": "hello"}


@pytest.fixture(scope="module")
def hub_and_client(little_model):
    application, hub = local_application(little_model)
    with TestClient(application) as client:
        yield hub, client


@pytest.fixture
def client(hub_and_client):
    return hub_and_client[1]


@pytest.fixture(scope="module")
def jacks():
    """JPEGs of somebody who does jumping jacks."""
    return jpegs_of(frames_of("jumping_jacks"))


def greeted(client, **said):
    socket = client.websocket_connect("/ws")
    socket.__enter__()
    socket.send_json({**HELLO, **said})
    return socket


def closed(socket) -> WebSocketDisconnect:
    return all_of(socket)[1]


def all_of(socket) -> tuple[list[dict], WebSocketDisconnect]:
    """What comes until the socket is closed, and how it is."""
    received = []
    while True:
        try:
            received.append(socket.receive_json())
        except WebSocketDisconnect as ending:
            return received, ending


def test_a_socket_says_what_the_page_must_know(client):
    with client.websocket_connect("/ws") as socket:
        socket.send_json(HELLO)
        hello = socket.receive_json()
    assert hello["type"] == "hello"
    assert sorted(hello["classes"]) == sorted(LABELS)
    assert [5, 7] in hello["bones"] or [7, 5] in hello["bones"]  # left shoulder to elbow
    assert hello["frame_px"] > 0 and not hello["has_scene"]


def test_with_a_scene_model_a_page_that_asks_for_it_gets_the_attention_over_the_scene(tmp_path, jacks):
    application, _ = local_application(untrained_checkpoint(tmp_path / "model", scenes="random"))
    grids = []
    with TestClient(application) as client, client.websocket_connect("/ws") as socket:
        socket.send_json({**HELLO, "attention": True})
        assert socket.receive_json()["has_scene"]
        for number, jpeg in enumerate(looped(jacks, 60)):
            socket.send_bytes(pack_frame(40.0 * (number + 1), number, jpeg))
            answer = socket.receive_json()
            grids += [each["scene_attention"] for each in answer["tracks"] if "scene_attention" in each]
    grid = np.array(grids[-1])
    assert grid.ndim == 2 and grid.shape[0] == grid.shape[1] > 1
    assert grid.sum() == pytest.approx(1.0, abs=0.01) and (grid >= 0).all()


@pytest.fixture(scope="module")
def keypoints_client(little_model):
    """Of a server whose guests may look for poses themselves."""
    try:
        runtime_files()
    except InputError as error:
        pytest.skip(str(error))
    application, hub = local_application(little_model, browser_poses=True)
    with TestClient(application) as client:
        yield hub, client


def test_a_guest_that_sends_what_its_own_pose_network_saw_gets_the_label_of_who_moves(keypoints_client):
    hub, client = keypoints_client
    detector = PoseDetector(hub.served.facts.poses, num_threads=1)
    with client.websocket_connect("/ws") as socket:
        socket.send_json(HELLO)
        told = socket.receive_json()["browser_poses"]
        assert told == {"image_px": 160, "min_confidence": detector.min_box_confidence}
        frames = frames_of("jumping_jacks")
        box = letterbox_for(*frames.shape[1:3], told["image_px"])
        for number, frame in enumerate(frames):
            output = detector.network(fit(frame[None], box))[0]
            rows = output.T[output[4] > told["min_confidence"]]
            socket.send_bytes(pack_poses(40.0 * (number + 1), number, *frame.shape[:2], rows))
            answer = socket.receive_json()
    [person] = answer["tracks"]
    assert person["label"] == "jumping_jacks"
    [expected] = detector.detect(frames[-1:])
    np.testing.assert_allclose(person["box"], expected.boxes_N4[0], atol=0.1)


def test_a_browser_gets_the_network_and_what_runs_it_from_here(keypoints_client):
    _, client = keypoints_client
    page = client.get("/")
    assert page.headers["cross-origin-embedder-policy"] == "require-corp"
    for name in FILES:
        assert client.get(f"/{name}").status_code == 200
    onnx.checker.check_model(onnx.load_from_string(client.get("/pose.onnx").content))


def test_a_server_that_takes_pictures_says_so_to_who_sends_poses(client):
    assert client.get("/pose.onnx").status_code == 404
    with client.websocket_connect("/ws") as socket:
        socket.send_json(HELLO)
        assert socket.receive_json()["browser_poses"] is None
        socket.send_bytes(pack_poses(40.0, 0, 240, 320, np.zeros((1, 56), np.float32)))
        assert socket.receive_json()["code"] == "poses"


@pytest.mark.parametrize("label", LABELS)
def test_frames_of_an_unseen_actor_get_their_label(client, label):
    said = []
    with client.websocket_connect("/ws") as socket:
        socket.send_json(HELLO)
        socket.receive_json()
        for number, jpeg in enumerate(looped(jpegs_of(frames_of(label)), 70)):
            socket.send_bytes(pack_frame(40.0 * (number + 1), number, jpeg))
            said.append(socket.receive_json())
    assert [answer["captured_ms"] for answer in said] == [40.0 * (number + 1) for number in range(70)]
    assert (said[0]["width_px"], said[0]["height_px"]) == (320, 240)
    [person] = said[-1]["tracks"]
    assert (person["label"], person["verdict"]) == (label, "ok")
    assert len(person["keypoints"]) == 17
    assert person["top"][0]["label"] == label
    events = [event for answer in said for event in answer["events"]]
    assert events[-1]["event"] == "begin" and events[-1]["label"] == label


def test_bad_messages_are_answered_and_good_ones_go_on(client, jacks):
    with client.websocket_connect("/ws") as socket:
        socket.send_json(HELLO)
        socket.receive_json()
        bad = [b"", b"short", pack_frame(1.0, 0, b"no jpeg"), pack_frame(2.0, 99, jacks[0])]
        codes = []
        for data in bad:
            socket.send_bytes(data)
            codes.append(socket.receive_json()["code"])
        socket.send_text("{")
        codes.append(socket.receive_json()["code"])
        socket.send_bytes(pack_frame(3.0, 5, jacks[0]))
        answer = socket.receive_json()
        socket.send_bytes(pack_frame(3.0, 6, jacks[0]))  # time stands still
        codes.append(socket.receive_json()["code"])
    assert codes == ["short", "short", "jpeg", "read", "json", "time"]
    assert answer["type"] == "answer" and len(answer["tracks"]) == 1


def test_who_sends_nothing_but_rubbish_is_shown_the_door(client):
    with client.websocket_connect("/ws") as socket:
        socket.send_json(HELLO)
        for _ in range(Limits().max_errors + 1):
            socket.send_bytes(b"rubbish")
        received, ending = all_of(socket)
    assert ending.code == 4400
    assert {said.get("code") for said in received} == {None, "short"}  # the hello, and errors


@pytest.mark.parametrize("first", ["", "{}", '{"type": "settings"}', "[]"])
def test_without_a_hello_there_is_nothing(client, first):
    with client.websocket_connect("/ws") as socket:
        socket.send_text(first)
        assert closed(socket).code == 4400


def test_a_page_of_another_site_is_refused(client):
    with client.websocket_connect("/ws", headers={"origin": "https://elsewhere.example"}) as socket:
        assert closed(socket).code == 4403


def test_who_reads_nothing_is_skipped_over_and_then_closed(little_model, jacks):
    limits = Limits(max_unread=4, max_idle_sec=1.5, max_frames_per_sec=1000.0)
    application, hub = local_application(little_model, limits=limits)
    with TestClient(application) as client, client.websocket_connect("/ws") as socket:
        socket.send_json(HELLO)
        for number in range(40):
            socket.send_bytes(pack_frame(1.0 + number, 0, jacks[0]))
        received, ending = all_of(socket)
    assert ending.code == 4408
    assert len(received) <= 1 + 4 + 2  # the hello, what may be unread, and what was on its way then
    skipped = hub.counters.registry.get_sample_value("harray_frames_total", {"outcome": "skipped"})
    assert skipped and skipped >= 30


def test_places_are_limited_and_free_again(little_model):
    application, hub = local_application(little_model, limits=Limits(max_sockets=2))
    with TestClient(application) as client:
        first, second = greeted(client), greeted(client)
        assert [first.receive_json()["type"], second.receive_json()["type"]] == ["hello", "hello"]
        with client.websocket_connect("/ws") as third:
            assert closed(third).code == 4429
        second.close()
        second.__exit__(None, None, None)
        with client.websocket_connect("/ws") as fourth:
            fourth.send_json(HELLO)
            assert fourth.receive_json()["type"] == "hello"
        first.close()
        first.__exit__(None, None, None)
    assert hub.num_sockets == 0


def test_with_a_token_only_who_knows_it_is_let_in(little_model):
    application, _ = local_application(little_model, token="secret")
    with TestClient(application) as client:
        for said in ({}, {"token": "wrong"}):
            with client.websocket_connect("/ws") as socket:
                socket.send_json({**HELLO, **said})
                assert closed(socket).code == 4401
        with client.websocket_connect("/ws") as socket:
            socket.send_json({**HELLO, "token": "secret"})
            assert socket.receive_json()["type"] == "hello"
        assert client.post("/predict", content=b"x").status_code == 401
        assert client.get("/metrics").status_code == 401
        known = {"Authorization": "Bearer secret"}
        assert client.get("/metrics", headers=known).status_code == 200
        assert client.post("/predict", content=b"x", headers=known).status_code == 422
        assert client.get("/").status_code == client.get("/healthz").status_code == 200


def test_a_video_gets_label_and_probabilities(client, tmp_path):
    write_video(tmp_path / "jacks.mp4", frames_of("jumping_jacks"))
    said = client.post("/predict", content=(tmp_path / "jacks.mp4").read_bytes())
    assert said.status_code == 200
    answer = said.json()
    assert answer["label"] == "jumping_jacks" and answer["verdict"] == "ok"
    assert {row["label"] for row in answer["top"]} == set(LABELS)
    assert sum(row["probability"] for row in answer["top"]) == pytest.approx(1.0, abs=1e-4)
    assert "video" not in answer  # nothing of where it lay
    labels = {(segment["track"], segment["label"]) for segment in answer["segments"]}
    assert labels == {(None, "jumping_jacks"), (0, "jumping_jacks")}  # the picture's, and the person's


def test_keypoints_get_label_and_probabilities(client, hub_and_client):
    shape = hub_and_client[0].served.facts.keypoints_shape
    body = {"keypoints": np.zeros(shape).tolist(), "height_px": 240, "width_px": 320}
    assert client.post("/predict", json=body).json()["verdict"] == "nobody"


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"", {}, 422),
        (b"\0" * 5000, {}, 422),
        (b"GIF89a" + b"x" * 500, {"Content-Type": "video/mp4"}, 422),
        (demo_clip()[:3000], {"Content-Type": "video/mp4"}, 422),
        (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n", {"Content-Type": "video/mp4"}, 422),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", {"Content-Type": "video/mp4"}, 422),
        (b"{", {"Content-Type": "application/json"}, 422),
        (b"[" * 100_000, {"Content-Type": "application/json"}, 422),
        (b'{"keypoints": [1, 2], "height_px": 2, "width_px": 2}', {"Content-Type": "application/json"}, 422),
        (
            b'{"keypoints": [[1], [2, 3]], "height_px": 2, "width_px": 2}',
            {"Content-Type": "application/json"},
            422,
        ),
        (b"--x", {"Content-Type": "multipart/form-data; boundary=x"}, 415),
    ],
)
def test_what_is_no_video_is_an_answer(client, body, headers, status):
    said = client.post("/predict", content=body, headers=headers)
    assert said.status_code == status
    assert "error" in said.json() and "/proc" not in said.text and "Traceback" not in said.text


def test_what_is_too_large_or_too_long_is_told_so(little_model):
    limits = Limits(max_upload_bytes=2_000_000, max_upload_sec=2.0)
    application, _ = local_application(little_model, limits=limits)
    with TestClient(application) as client:
        assert client.post("/predict", content=b"x" * 2_000_001).status_code == 413
        streamed = client.post("/predict", content=iter([b"x" * 1_500_000] * 2))  # says no length beforehand
        assert streamed.status_code == 413
        too_long = client.post("/predict", content=demo_clip())
        assert too_long.status_code == 413 and "expected at most 2 s" in too_long.json()["error"]


def test_the_page_and_all_it_loads_come_from_here(client):
    page = client.get("/")
    assert page.status_code == 200 and "harray" in page.text
    for text in (page.text, client.get("/page.css").text, client.get("/page.js").text):
        assert "http://" not in text and "https://" not in text.replace("localhost or https only", "")
    assert "default-src 'self'" in page.headers["content-security-policy"]


def test_the_demo_clip_is_a_video_in_parts(client):
    whole = client.get("/demo.mp4")
    part = client.get("/demo.mp4", headers={"Range": "bytes=100-199"})
    assert part.status_code == 206 and part.content == whole.content[100:200]
    assert part.headers["content-range"] == f"bytes 100-199/{len(whole.content)}"
    assert client.get("/demo.mp4", headers={"Range": f"bytes={len(whole.content)}-"}).status_code == 416
    with av.open(io.BytesIO(whole.content)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 150


def test_the_schema_names_the_routes_and_no_page_of_another_host(client):
    schema = client.get("/openapi.json").json()
    assert {"/", "/predict", "/healthz", "/metrics", "/demo.mp4"} <= set(schema["paths"])
    assert client.get("/docs").status_code == 404


def test_metrics_are_prometheus_text(client, jacks):
    with client.websocket_connect("/ws") as socket:
        socket.send_json(HELLO)
        socket.receive_json()
        socket.send_bytes(pack_frame(1.0, 0, jacks[0]))
        socket.receive_json()
    text = client.get("/metrics").text
    for name in ("frames_total", "frame_seconds_bucket", "sockets", "queue", "model_info"):
        assert f"harray_{name}" in text


def test_the_token_is_in_no_log(little_model, caplog):
    application, hub = local_application(little_model, token="hunter2")
    with caplog.at_level(logging.DEBUG), TestClient(application) as client:
        client.get("/metrics", headers={"Authorization": "Bearer hunter2"})
    assert "hunter2" not in caplog.text + repr(hub.config)


def test_answers_are_strict_json(client, jacks):
    with client.websocket_connect("/ws") as socket:
        socket.send_json(HELLO)
        socket.receive_json()
        socket.send_bytes(pack_frame(1.0, 0, jacks[0]))
        text = socket.receive_text()
    json.loads(text, parse_constant=lambda name: pytest.fail(name))  # NaN is no JSON
