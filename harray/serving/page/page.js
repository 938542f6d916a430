// The page of `harray serve`: frames go up as JPEG, a few numbers come down, everything is drawn here.
//
//   video --grab, two in flight--> [16 bytes + JPEG] --socket--> server --> {tracks, version} --> overlay, people,
//   timeline, speed. The protocol stands in harray/serving/protocol.py. On request the pose network runs here, and rows
//   of keypoints go up in place of the JPEG.

const $ = (id) => document.getElementById(id);
const MAX_IN_FLIGHT = 2;
const LOST_ANSWER_MS = 4000; // after which a frame counts as lost
const KEEP_ALIVE_MS = 20000; // silent sockets are closed
const BACK_OFF_MS = [500, 1000, 2000, 4000, 8000];
const TIMELINE_SEC = 60;
const KEPT_SEGMENTS = 500;
const COLOURS = ["#4c9be8", "#3fb68b", "#b58cf0", "#e86fa6", "#8fb339", "#45b8cc"]; // of people; orange has a meaning
const BARS_SHOWN = 3; // probability bars per person

const state = {
  socket: null, attempt: 0, retryTimer: 0, server: null, // `server`: the last hello
  source: null, stream: null, fileUrl: null,
  inFlight: [], numAnswers: 0, latencies: [], answerTimes: [], skippedHere: 0,
  answer: null, attention: null, segments: [], open: new Map(), lastSaid: "", token: "",
};

// ---------------------------------------------------------------------------------------------- connection

function socketUrl() {
  const url = new URL("ws", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  url.hash = url.search = "";
  return url;
}

function connect() {
  clearTimeout(state.retryTimer);
  const socket = new WebSocket(socketUrl());
  socket.binaryType = "arraybuffer";
  state.socket = socket;
  socket.onopen = () => {
    socket.send(JSON.stringify({ type: "hello", token: state.token, attention: $("show-attention").checked }));
  };
  socket.onmessage = (event) => receive(JSON.parse(event.data));
  socket.onclose = (event) => lost(socket, event);
}

function sendSettings() {
  if (state.socket?.readyState !== WebSocket.OPEN || !state.server) return;
  state.socket.send(JSON.stringify({ type: "settings", attention: $("show-attention").checked }));
}

function lost(socket, event) {
  if (socket !== state.socket) return;
  state.socket = null;
  state.inFlight = [];
  state.numAnswers = 0;
  Object.assign(state, { answer: null, attention: null }); // what was seen is no longer known to be so
  closeSegments();
  showPeople(null);
  draw();
  if (event.code === 4401) return askForToken(event.reason);
  if (event.code === 4400 || event.code === 4403) {
    return setStatus("refused", event.reason || "The server refused this page");
  }
  const wait = BACK_OFF_MS[Math.min(state.attempt, BACK_OFF_MS.length - 1)] * (0.8 + 0.4 * Math.random());
  state.attempt += 1;
  setStatus("lost", `${event.reason || "No connection"}; trying again in ${Math.max(1, Math.round(wait / 1000))} s`);
  state.retryTimer = setTimeout(connect, wait);
}

function receive(message) {
  if (message.type === "hello") {
    const before = state.server;
    Object.assign(state, { server: message, attempt: 0 });
    setStatus("open", "Connected");
    showModel(message);
    if (before && before.version !== message.version) {
      say(`Model version ${message.version} has taken over`);
      Object.assign(pose, { loading: null, network: null }); // it may look by another network
      readyPoses();
    }
  } else if (message.type === "answer") {
    takeAnswer(message);
  } else if (message.type === "error") {
    state.numAnswers += 1;
    state.inFlight.shift();
    notice(message.message);
  }
}

function showModel(server) {
  const version = server.version ? `, version ${server.version}` : "";
  $("model").textContent = `${server.model}${version}: ${server.classes.length} actions`;
  $("model").dataset.version = server.version || "";
  $("attention-switch").hidden = !server.has_scene;
  $("private-switch").hidden = !server.browser_poses;
  for (const name of ["camera", "file", "demo"]) $(`use-${name}`).disabled = !server.sees_pictures;
  if (!server.sees_pictures) notice("This model learned from imported skeletons: it takes keypoints at /predict only.");
}

function setStatus(kind, text) {
  $("status").dataset.state = kind;
  $("status").textContent = text;
}

function askForToken(reason) {
  setStatus("refused", reason || "A token is needed");
  if (state.token) $("token-hint").textContent = "That token was not accepted; try another.";
  $("token-dialog").showModal();
}

$("token-dialog").addEventListener("close", () => {
  state.token = $("token").value;
  sessionStorage.setItem("harray.token", state.token);
  connect();
});

// ---------------------------------------------------------------------------------------------- picture

async function useCamera(deviceId) {
  stopSource();
  if (!navigator.mediaDevices?.getUserMedia) {
    return notice("Browsers give cameras to pages from localhost or https only.");
  }
  const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
  try {
    state.stream = await navigator.mediaDevices.getUserMedia(
      { video: deviceId ? { ...wanted, deviceId: { exact: deviceId } } : wanted, audio: false });
  } catch (error) {
    const why = { NotAllowedError: "The camera was not allowed.", NotFoundError: "No camera was found.",
      NotReadableError: "The camera is in use by another program." };
    return notice(why[error.name] || `The camera could not be opened (${error.name}).`);
  }
  $("video").srcObject = state.stream;
  await begin("camera");
  await listCameras();
}

async function listCameras() {
  const cameras = (await navigator.mediaDevices.enumerateDevices()).filter((each) => each.kind === "videoinput");
  const current = state.stream?.getVideoTracks()[0]?.getSettings().deviceId;
  $("camera").replaceChildren(...cameras.map((each, number) =>
    new Option(each.label || `Camera ${number + 1}`, each.deviceId, false, each.deviceId === current)));
  $("camera-choice").hidden = cameras.length < 2;
}

async function useUrl(kind, url) {
  stopSource();
  $("video").src = url;
  await begin(kind);
}

async function begin(kind) {
  state.source = kind;
  for (const name of ["camera", "file", "demo"]) $(`use-${name}`).setAttribute("aria-pressed", String(name === kind));
  $("stop").disabled = false;
  notice("");
  try {
    await $("video").play();
  } catch (error) {
    if (error.name === "AbortError") return; // another source was chosen meanwhile
    stopSource();
    return notice("This browser cannot play that video.");
  }
  delete $("stage").dataset.empty;
  $("stage").style.aspectRatio = `${$("video").videoWidth} / ${$("video").videoHeight}`;
  scheduleGrab();
}

function stopSource() {
  state.stream?.getTracks().forEach((track) => track.stop());
  if (state.fileUrl) URL.revokeObjectURL(state.fileUrl);
  Object.assign(state, { source: null, stream: null, fileUrl: null, answer: null, attention: null });
  const video = $("video");
  video.pause();
  video.srcObject = null;
  video.removeAttribute("src");
  video.load();
  $("stage").dataset.empty = "";
  $("camera-choice").hidden = true;
  $("stop").disabled = true;
  for (const name of ["camera", "file", "demo"]) $(`use-${name}`).setAttribute("aria-pressed", "false");
  closeSegments();
  showPeople(null);
}

// ---------------------------------------------------------------------------------------------- frames up

const grabber = document.createElement("canvas");
let grabScheduled = false;

function scheduleGrab() {
  if (grabScheduled || !state.source) return;
  grabScheduled = true;
  const video = $("video");
  const next = () => { grabScheduled = false; grab(); scheduleGrab(); };
  if (video.requestVideoFrameCallback) video.requestVideoFrameCallback(next);
  else setTimeout(next, 33);
}

function grab() {
  const video = $("video");
  const now = performance.now();
  if (state.inFlight.length && now - state.inFlight[0] > LOST_ANSWER_MS) state.inFlight = [];
  if (!state.server || state.socket?.readyState !== WebSocket.OPEN || !video.videoWidth) return;
  if (state.inFlight.length >= MAX_IN_FLIGHT) {
    state.skippedHere += 1;
    return;
  }
  if ($("only-keypoints").checked) {
    sendPoses(video, now);
    return;
  }
  const scale = Math.min(1, state.server.frame_px / Math.max(video.videoWidth, video.videoHeight));
  grabber.width = Math.max(1, Math.round(video.videoWidth * scale));
  grabber.height = Math.max(1, Math.round(video.videoHeight * scale));
  grabber.getContext("2d", { alpha: false }).drawImage(video, 0, 0, grabber.width, grabber.height);
  state.inFlight.push(now);
  const socket = state.socket;
  grabber.toBlob(async (blob) => {
    const jpeg = blob && await blob.arrayBuffer();
    if (!jpeg || socket !== state.socket || socket.readyState !== WebSocket.OPEN) return;
    const message = new Uint8Array(16 + jpeg.byteLength);
    const header = new DataView(message.buffer);
    header.setFloat64(0, now, true);
    header.setUint32(8, state.numAnswers, true);
    message.set(new Uint8Array(jpeg), 16);
    socket.send(message);
  }, "image/jpeg", 0.85);
}

// ---------------------------------------------------------------------------------------------- poses here

const pose = { loading: null, network: null, isBusy: false };

async function loadPoseNetwork() {
  const ort = await import("./ort.wasm.min.mjs");
  ort.env.wasm.wasmPaths = new URL("./", location.href).href;
  ort.env.wasm.numThreads = self.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;
  const said = await fetch("pose.onnx", { headers: state.token ? { Authorization: `Bearer ${state.token}` } : {} });
  if (!said.ok) throw new Error((await said.json()).error);
  const model = new Uint8Array(await said.arrayBuffer());
  const session = await ort.InferenceSession.create(model, { executionProviders: ["wasm"] });
  pose.network = async (rgb, height, width) => {
    const said = await session.run({ [session.inputNames[0]]: new ort.Tensor("uint8", rgb, [1, height, width, 3]) });
    return Object.values(said)[0];
  };
}

function readyPoses() {
  if (!$("only-keypoints").checked || pose.loading) return;
  notice("The pose network is being loaded…");
  pose.loading = loadPoseNetwork().then(() => notice(""), (error) => {
    pose.loading = null;  // the box stays checked, so that no picture is sent instead
    notice(`The pose network cannot run in this browser: ${error.message}. Nothing is sent; switch the box off to send pictures.`);
  });
}

async function sendPoses(video, now) {
  if (!pose.network || pose.isBusy) {
    state.skippedHere += pose.network ? 1 : 0;
    return;
  }
  pose.isBusy = true;
  state.inFlight.push(now);
  const socket = state.socket;
  try {
    const [height, width] = [video.videoHeight, video.videoWidth];
    const { rgb, paddedHeight, paddedWidth } = letterboxed(video, state.server.browser_poses.image_px);
    const rows = confidentRows(await pose.network(rgb, paddedHeight, paddedWidth), state.server.browser_poses.min_confidence);
    if (socket !== state.socket || socket.readyState !== WebSocket.OPEN) return;
    const message = new ArrayBuffer(24 + 4 * rows.values.length);
    const header = new DataView(message);
    header.setFloat64(0, now, true);
    header.setUint32(8, state.numAnswers, true);
    header.setUint32(12, 1, true);
    [height, width, rows.length, rows.count].forEach((number, place) => header.setUint16(16 + 2 * place, number, true));
    new Float32Array(message, 24).set(rows.values);
    socket.send(message);
  } finally {
    pose.isBusy = false;
  }
}

// The frame as the network takes it: the longer side as long as it learned, the rest of the last 32 px grey.
function letterboxed(video, side) {
  const scale = side / Math.max(video.videoWidth, video.videoHeight);
  const [width, height] = [video.videoWidth, video.videoHeight].map((px) => Math.max(1, Math.round(px * scale)));
  const [paddedWidth, paddedHeight] = [width, height].map((px) => Math.ceil(px / 32) * 32);
  grabber.width = paddedWidth;
  grabber.height = paddedHeight;
  const context = grabber.getContext("2d", { alpha: false });
  context.fillStyle = "rgb(114, 114, 114)";
  context.fillRect(0, 0, paddedWidth, paddedHeight);
  context.drawImage(video, Math.floor((paddedWidth - width) / 2), Math.floor((paddedHeight - height) / 2), width, height);
  const rgba = context.getImageData(0, 0, paddedWidth, paddedHeight).data;
  const rgb = new Uint8Array(3 * paddedWidth * paddedHeight);
  for (let i = 0, j = 0; i < rgba.length; i += 4) {
    rgb[j++] = rgba[i];
    rgb[j++] = rgba[i + 1];
    rgb[j++] = rgba[i + 2];
  }
  return { rgb, paddedHeight, paddedWidth };
}

// Of [1, 56, boxes], or of [1, boxes, 57] where boxes that overlap are already left out: those that are confident.
function confidentRows({ dims, data }, least) {
  const isFinal = dims[2] === 57;
  const [count, length] = isFinal ? [dims[1], 57] : [dims[2], dims[1]];
  const at = (box, number) => (isFinal ? data[box * length + number] : data[number * count + box]);
  const sure = [];
  for (let box = 0; box < count; box += 1) if (at(box, 4) > least) sure.push(box);
  sure.sort((a, b) => at(b, 4) - at(a, 4));
  const kept = sure.slice(0, 300);
  const values = new Float32Array(kept.length * length);
  kept.forEach((box, row) => { for (let i = 0; i < length; i += 1) values[row * length + i] = at(box, i); });
  return { values, length, count: kept.length };
}

// ---------------------------------------------------------------------------------------------- answers down

function takeAnswer(answer) {
  const now = performance.now();
  state.numAnswers += 1;
  state.inFlight = state.inFlight.filter((captured) => captured > answer.captured_ms);
  if (!state.source) return;
  state.answer = answer;
  state.attention = answer.tracks.find((person) => person.scene_attention)?.scene_attention || null;
  keepLast(state.latencies, now - answer.captured_ms, 150);
  keepLast(state.answerTimes, now, 60);
  if (state.server && answer.version !== state.server.version) showModel({ ...state.server, version: answer.version });
  follow(answer, now);
  showPeople(answer);
  draw();
}

function keepLast(values, value, count) {
  values.push(value);
  if (values.length > count) values.shift();
}

function quantile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))];
}

function showSpeed() {
  const times = state.answerTimes;
  const isFresh = times.length > 1 && performance.now() - times[times.length - 1] < 2000;
  const rate = isFresh ? (times.length - 1) / ((times[times.length - 1] - times[0]) / 1000) : null;
  $("fps").textContent = rate ? rate.toFixed(1) : "–";
  $("p50").textContent = isFresh ? `${Math.round(quantile(state.latencies, 0.5))} ms` : "–";
  $("p95").textContent = isFresh ? `${Math.round(quantile(state.latencies, 0.95))} ms` : "–";
  $("skipped").textContent = state.answer ? String(state.skippedHere + state.answer.skipped) : "–";
}

// ---------------------------------------------------------------------------------------------- drawing

const colourOf = (track) => COLOURS[(track ?? 0) % COLOURS.length];
const readable = (label) => label.replaceAll("_", " ");
const nameOf = (track) => (track === null ? "Whole picture" : `Person ${track + 1}`);

function draw() {
  const canvas = $("overlay");
  const answer = state.answer;
  const [width, height] = answer ? [answer.width_px, answer.height_px] : [1, 1];
  const box = $("stage").getBoundingClientRect();
  const ratio = window.devicePixelRatio || 1;
  canvas.width = Math.round(box.width * ratio);
  canvas.height = Math.round(box.height * ratio);
  const context = canvas.getContext("2d");
  if (!answer || !state.source) return;
  const scale = Math.min(canvas.width / width, canvas.height / height); // as `object-fit: contain` does
  context.setTransform(scale, 0, 0, scale, (canvas.width - width * scale) / 2, (canvas.height - height * scale) / 2);
  if ($("show-attention").checked && state.attention) drawAttention(context, state.attention, width, height);
  if ($("show-skeleton").checked) answer.tracks.forEach((person) => drawPerson(context, person, height / 240));
}

function drawPerson(context, person, unit) {
  const joints = person.keypoints.map((place, i) => place && [place[0], place[1], !person.completed[i]]);
  context.lineCap = "round";
  for (const [from, to] of state.server.bones) {
    const [a, b] = [joints[from], joints[to]];
    if (!a || !b) continue;
    const isSeen = a[2] && b[2];
    for (const [colour, width] of [["#000000a0", 4.2], [isSeen ? colourOf(person.track) : "#ff7a1a", 2.4]]) {
      context.strokeStyle = colour;
      context.lineWidth = width * unit;
      context.beginPath();
      context.moveTo(a[0], a[1]);
      context.lineTo(b[0], b[1]);
      context.stroke();
    }
  }
  for (const joint of joints) {
    if (!joint) continue;
    context.fillStyle = joint[2] ? "#ffffff" : "#ff7a1a";
    context.beginPath();
    context.arc(joint[0], joint[1], 2.3 * unit, 0, 2 * Math.PI);
    context.fill();
  }
  drawName(context, person, joints.filter(Boolean), unit);
}

function drawName(context, person, points, unit) {
  if (!points.length) return;
  const text = headline(person);
  const x = Math.min(...points.map((point) => point[0]));
  const y = Math.max(14 * unit, Math.min(...points.map((point) => point[1])) - 20 * unit);
  context.font = `600 ${9.5 * unit}px system-ui, sans-serif`;
  const width = context.measureText(text).width;
  context.fillStyle = "#000000b8";
  context.fillRect(x - 3 * unit, y - 9.5 * unit, width + 6 * unit, 12.5 * unit);
  context.fillStyle = person.verdict === "ok" ? "#ffffff" : "#c9c4ba";
  context.fillText(text, x, y);
}

function drawAttention(context, attention, width, height) {
  const [grid, weights] = [attention.length, attention.flat()];
  const top = Math.max(...weights, 1e-9);
  const cells = document.createElement("canvas");
  cells.width = cells.height = grid;
  const image = cells.getContext("2d").createImageData(grid, grid);
  weights.forEach((weight, i) => image.data.set([255, 214, 60, Math.round(170 * weight / top)], 4 * i));
  cells.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = true;
  context.drawImage(cells, 0, 0, width, height);
}

// ---------------------------------------------------------------------------------------------- people

function element(tag, className, text) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function headline(person) {
  if (person.verdict === "nobody") return "nobody";
  if (person.verdict === "waiting") return "watching…";
  return person.label ? readable(person.label) : `unsure: ${readable(person.top[0]?.label ?? "")}?`;
}

function showPeople(answer) {
  const places = $("people");
  const people = answer ? [...answer.tracks].sort((a, b) => (a.track ?? -1) - (b.track ?? -1)) : [];
  const kept = new Map([...places.children].map((card) => [card.dataset.track, card]));
  const cards = people.map((person) => {
    const card = kept.get(String(person.track)) || newCard(person);
    fillCard(card, person);
    return card;
  });
  if (!cards.length) cards.push(nobodyCard(answer ? "Nobody is seen." : "Nothing is being looked at."));
  if (cards.length !== places.children.length || cards.some((card, place) => card !== places.children[place])) {
    places.replaceChildren(...cards);
  }
  const said = people.map((person) => `${nameOf(person.track)}: ${headline(person)}`).join(". ") ||
    (answer ? "Nobody is seen" : "");
  $("overlay").setAttribute("aria-label", said || "No picture yet");
  state.toSay = said;
}

function nobodyCard(text) {
  const only = $("people").firstElementChild;
  return only?.textContent === text ? only : element("p", "nobody", text);
}

function newCard(person) {
  const card = element("article", "person");
  card.dataset.track = String(person.track);
  card.style.setProperty("--person", colourOf(person.track));
  const title = element("h3", "", nameOf(person.track));
  card.append(title, element("p", "label"), element("ul", "bars"));
  card.setAttribute("aria-label", nameOf(person.track));
  return card;
}

function fillCard(card, person) {
  const label = card.querySelector(".label");
  const text = headline(person);
  if (label.textContent !== text) label.textContent = text;
  label.classList.toggle("doubtful", person.verdict !== "ok");
  const bars = card.querySelector(".bars");
  const top = person.top.slice(0, BARS_SHOWN);
  while (bars.children.length > top.length) bars.lastChild.remove();
  while (bars.children.length < top.length) bars.append(newBar());
  top.forEach(({ label: name, probability }, place) => {
    const row = bars.children[place];
    row.children[0].textContent = readable(name);
    row.children[1].textContent = `${Math.round(100 * probability)} %`;
    row.children[2].firstChild.style.width = `${(100 * probability).toFixed(1)}%`;
  });
}

function newBar() {
  const row = element("li");
  const bar = element("span", "bar");
  bar.setAttribute("aria-hidden", "true");
  bar.append(element("i"));
  row.append(element("span"), element("span", "share"), bar);
  return row;
}

// ---------------------------------------------------------------------------------------------- timeline

function follow(answer, now) {
  const present = new Set();
  for (const person of answer.tracks) {
    present.add(person.track);
    const label = person.label ?? (person.verdict === "unsure" ? "unsure" : null);
    const open = state.open.get(person.track);
    if (open && open.label === label) {
      open.end = now;
      open.probability = Math.max(open.probability, person.probability ?? 0);
      continue;
    }
    if (open) state.open.delete(person.track);
    if (label === null) continue;
    const segment = { track: person.track, label, start: now, end: now, probability: person.probability ?? 0 };
    state.open.set(person.track, segment);
    keepLast(state.segments, segment, KEPT_SEGMENTS);
  }
  for (const track of state.open.keys()) if (!present.has(track)) state.open.delete(track);
}

function closeSegments() {
  state.open.clear();
}

const seconds = (ms) => {
  const total = Math.max(0, ms / 1000);
  return `${Math.floor(total / 60)}:${(total % 60).toFixed(1).padStart(4, "0")}`;
};

function drawTimeline() {
  const canvas = $("timeline");
  const now = performance.now();
  const begin = now - TIMELINE_SEC * 1000;
  const shown = state.segments.filter((segment) => segment.end > begin);
  const lanes = [...new Set(shown.map((segment) => segment.track))].slice(-6);
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, Math.max(96, 24 + 30 * lanes.length)];
  canvas.style.height = `${height}px`;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  const style = getComputedStyle(document.documentElement);
  const [ink, faint, line] = ["--ink", "--faint", "--line"].map((name) => style.getPropertyValue(name).trim());
  const x = (ms) => ((ms - begin) / (TIMELINE_SEC * 1000)) * width;
  context.font = "12px system-ui, sans-serif";
  for (let sec = 0; sec <= TIMELINE_SEC; sec += width < 500 ? 20 : 10) {
    const at = Math.min(width - 1, Math.max(1, x(now - sec * 1000)));
    context.fillStyle = line;
    context.fillRect(at, 0, 1, height - 20);
    context.fillStyle = faint;
    context.textAlign = sec === 0 ? "right" : sec === TIMELINE_SEC ? "left" : "center";
    context.fillText(sec === 0 ? "now" : `−${sec} s`, at, height - 5);
  }
  context.textAlign = "left";
  for (const segment of shown) {
    const lane = lanes.indexOf(segment.track);
    if (lane < 0) continue;
    const [left, right] = [Math.max(0, x(segment.start)), Math.max(x(segment.start) + 2, x(segment.end))];
    const isUnsure = segment.label === "unsure";
    context.globalAlpha = isUnsure ? 0.25 : 0.9;
    context.fillStyle = colourOf(segment.track);
    context.beginPath();
    context.roundRect(left, 4 + 30 * lane, right - left, 22, 5);
    context.fill();
    context.globalAlpha = 1;
    context.save();
    context.clip();
    context.fillStyle = isUnsure ? ink : "#10151c";
    context.fillText(readable(segment.label), left + 7, 19 + 30 * lane);
    context.restore();
  }
}

function listSegments() {
  const list = $("segments");
  const origin = state.segments[0]?.start ?? 0;
  const lasting = state.segments.filter((segment) => segment.end - segment.start > 300).slice(-40);
  const lines = lasting.map((segment) =>
    `${seconds(segment.start - origin)} to ${seconds(segment.end - origin)}: ${nameOf(segment.track)}, ` +
    `${readable(segment.label)} (${Math.round(100 * segment.probability)} %)`);
  if (list.parentElement.open) list.replaceChildren(...lines.map((text) => element("li", "", text)));
  $("timeline").setAttribute("aria-label", lines.length ? `The latest: ${lines[lines.length - 1]}` : "Nothing recognised yet");
}

// ---------------------------------------------------------------------------------------------- words

let noticeTimer = 0;
function notice(text) {
  $("notice").textContent = text;
  $("notice").hidden = !text;
  clearTimeout(noticeTimer);
  if (text) noticeTimer = setTimeout(() => notice(""), 8000);
}

function say(text) {
  $("said").textContent = text;
  state.lastSaid = text;
}

// A screen reader is told what changed, not every frame of it.
setInterval(() => {
  if (state.toSay && state.toSay !== state.lastSaid) say(state.toSay);
}, 2000);
setInterval(() => { showSpeed(); listSegments(); }, 500);
setInterval(drawTimeline, 100);
setInterval(() => sendSettings(), KEEP_ALIVE_MS);

$("use-camera").onclick = () => useCamera();
$("use-file").onclick = () => $("file").click();
$("file").onchange = () => {
  const [file] = $("file").files;
  if (!file) return;
  const url = URL.createObjectURL(file);
  useUrl("file", url).then(() => { state.fileUrl = url; });
  $("file").value = "";
};
$("use-demo").onclick = () => useUrl("demo", "demo.mp4");
$("stop").onclick = stopSource;
$("camera").onchange = () => useCamera($("camera").value);
$("show-skeleton").onchange = draw;
$("only-keypoints").onchange = readyPoses;
$("show-attention").onchange = () => {
  state.attention = null;
  sendSettings();
  draw();
};
window.addEventListener("resize", draw);
navigator.mediaDevices?.addEventListener?.("devicechange", () => { if (state.source === "camera") listCameras(); });

// A token may come with the address, behind the '#', which no server and no log ever sees.
const given = new URLSearchParams(location.hash.slice(1)).get("token");
state.token = given || sessionStorage.getItem("harray.token") || "";
if (given) {
  sessionStorage.setItem("harray.token", given);
  history.replaceState(null, "", location.pathname);
}
showPeople(null);
connect();
