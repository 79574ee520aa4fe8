// The gesture page: camera to canvas to `/ws/capture`, one bounded capture at a time.

import { changed, credential, element, fail, header, onChange, pressed, session, show, succeed } from "./demo.js";

const FPS = 15;
const LONGEST_S = 120;
const SHORTEST_S = 2;
const QUALITY = 0.85;
const MOST_WAITING_BYTES = 1_000_000; // in the socket: beyond this a frame is skipped

const CAMERA_SENTENCES = {
  NotAllowedError: "The camera was refused. Allow it for this page in the browser, then try again.",
  NotFoundError: "No camera was found. Connect one, then try again.",
  NotReadableError: "The camera is in use by another program.",
};
const CLOSE_SENTENCES = {
  4401: "The capture needs you to be signed in. Sign in, then try again.",
  4429: "Too many captures in a short time. Wait a minute, then try again.",
};

let phase = "idle"; // idle, requesting camera, recording, processing, completed, aborted
let current = null;

/** The end of a capture that did not complete, in words for people. */
class Ended extends Error {
  constructor(headline, detail = "", code = "") {
    super(headline);
    Object.assign(this, { detail, code });
  }
}

function enter(next, seconds = 0) {
  phase = next;
  const moods = { "requesting camera": "busy", recording: "recording", processing: "busy", completed: "done", aborted: "alarm" };
  show(element("capture-status"), next === "recording" ? `recording ${seconds}s` : next, moods[next] ?? "");
  element("elapsed").value = next === "recording" ? seconds : 0;
  changed();
}

/** What stands where the camera was. */
function say(sentence) {
  element("preview-empty").textContent = sentence;
}

function enable({ busy }) {
  const running = ["requesting camera", "recording", "processing"].includes(phase);
  element("start-capture").disabled = busy || running || !session.id;
  element("stop-capture").disabled = phase !== "recording" || !current?.mayStop;
  if (running) element("end-session").disabled = true;
}

async function openCamera() {
  if (!navigator.mediaDevices) {
    throw new Ended("This page may not use a camera.", "Browsers allow cameras on https and on localhost only.");
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { width: 640, height: 480 }, audio: false });
  } catch (error) {
    throw new Ended("No capture without a camera.", CAMERA_SENTENCES[error.name] ?? "The camera could not be opened.");
  }
}

class Capture {
  constructor(stream) {
    this.stream = stream;
    this.video = element("preview");
    this.mayStop = false;
    this.seq = 0;
    this.closing = false;
    this.outcome = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
  }

  async run() {
    this.video.srcObject = this.stream;
    await this.video.play();
    this.video.classList.add("on");
    const portrait = this.video.videoHeight > this.video.videoWidth;
    this.canvas = new OffscreenCanvas(portrait ? 480 : 640, portrait ? 640 : 480);
    this.picture = this.canvas.getContext("2d", { alpha: false });
    this.stream.getVideoTracks()[0].addEventListener("ended", () => {
      this.reject(new Ended("The camera was taken away.", "The capture was dropped; nothing of it is kept."));
    });
    this.connect();
    return this.outcome;
  }

  connect() {
    this.socket = new WebSocket(`${location.origin.replace(/^http/, "ws")}/ws/capture`);
    this.socket.addEventListener("open", () => this.open());
    this.socket.addEventListener("message", ({ data }) => this.hear(JSON.parse(data)));
    this.socket.addEventListener("close", ({ code }) => {
      const sentence = CLOSE_SENTENCES[code] ?? "The server may be gone. The capture was not completed here.";
      this.reject(new Ended("The connection closed unexpectedly.", sentence));
    });
  }

  open() {
    if (credential()) this.send({ event: "capture.auth", token: credential() });
    const opened = header();
    element("record-id").value = opened.record_id;
    this.startedAt = Date.now();
    this.zero = performance.now();
    this.send({
      ...opened, event: "capture.open", session_id: session.id, timestamp: this.stamp(0), timestamp_start: this.stamp(0),
      fps_target: FPS, width: this.canvas.width, height: this.canvas.height, encoding: "jpeg",
    });
  }

  hear(message) {
    if (message.event === "capture.ack" && message.ack === "capture.open") this.record();
    if (message.event === "capture.completed") this.resolve(message);
    if (message.event === "capture.abort" || message.event === "capture.error") {
      const { error_code: code, detail } = message;
      this.reject(new Ended(`The capture was aborted: ${code}`, detail, code));
    }
  }

  record() {
    let due = performance.now();
    const beat = async () => {
      if (this.closing || this.over) return;
      const elapsed = this.elapsed();
      if (elapsed >= LONGEST_S * 1000) return this.finish();
      this.tell(Math.floor(elapsed / 1000), elapsed >= SHORTEST_S * 1000);
      this.sending = this.socket.bufferedAmount <= MOST_WAITING_BYTES ? this.frame(elapsed) : null;
      await this.sending;
      due += 1000 / FPS;
      const now = performance.now();
      if (due < now) due = now + ((due - now) % (1000 / FPS)) + 1000 / FPS; // late: skip, never burst
      this.timer = setTimeout(tick, due - now);
    };
    const tick = () => beat().catch(this.reject);
    tick();
  }

  tell(seconds, mayStop) {
    if (seconds === this.seconds && mayStop === this.mayStop) return;
    Object.assign(this, { seconds, mayStop });
    enter("recording", seconds);
  }

  async frame(elapsed) {
    const { width, height } = this.canvas;
    const { videoWidth, videoHeight } = this.video;
    const scale = Math.min(videoWidth / width, videoHeight / height); // the largest middle part of the same shape
    const [w, h] = [width * scale, height * scale];
    this.picture.drawImage(this.video, (videoWidth - w) / 2, (videoHeight - h) / 2, w, h, 0, 0, width, height);
    const jpeg = await (await this.canvas.convertToBlob({ type: "image/jpeg", quality: QUALITY })).arrayBuffer();
    if (this.over || this.socket.readyState !== WebSocket.OPEN) return;
    this.seq += 1;
    this.send({ event: "capture.frame_meta", seq: this.seq, timestamp_frame: this.stamp(elapsed), byte_length: jpeg.byteLength });
    this.socket.send(jpeg);
  }

  async finish() {
    if (this.closing) return;
    pressed();
    this.closing = true;
    this.mayStop = false;
    changed();
    clearTimeout(this.timer);
    const elapsed = Math.min(this.elapsed(), LONGEST_S * 1000);
    await this.sending?.catch(() => null); // a picture on its way still belongs to the capture
    this.release();
    this.send({ event: "capture.close", timestamp_end: this.stamp(elapsed) });
    say("The last frames are being turned into landmarks.");
    enter("processing");
  }

  release() {
    this.stream.getTracks().forEach((track) => track.stop());
    this.video.classList.remove("on");
    this.video.srcObject = null;
  }

  end() {
    this.over = true;
    clearTimeout(this.timer);
    this.release();
    this.socket?.close();
  }

  elapsed() {
    return performance.now() - this.zero;
  }

  stamp(elapsed) {
    return new Date(this.startedAt + Math.round(elapsed)).toISOString();
  }

  send(message) {
    this.socket.send(JSON.stringify(message));
  }
}

async function capture() {
  if (!session.id || current) return;
  pressed();
  element("record-id").value = "";
  say("Waiting for the camera. The browser may ask you to allow it.");
  enter("requesting camera");
  try {
    current = new Capture(await openCamera());
    const { hash, frames, dims } = await current.run();
    element("artifact-hash").value = hash;
    say(`${frames} frames became ${frames} rows of ${dims} numbers. No picture was kept.`);
    enter("completed");
    succeed();
  } catch (error) {
    say("Nothing of this capture was kept.");
    enter("aborted");
    if (error.code === "session_closed") session.id = "";
    if (error instanceof Ended) fail(error.message, error.detail);
    else fail("The capture failed in this page.", error.message);
  } finally {
    current?.end();
    current = null;
    changed();
  }
}

element("start-capture").addEventListener("click", capture);
element("stop-capture").addEventListener("click", () => current?.finish());
addEventListener("pagehide", () => current?.end());
onChange(enable);
changed();
