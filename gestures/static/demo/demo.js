// What both demo pages share: signing in, starting and ending a session, saying what went wrong.
// Token and ids live in this module's variables alone; a reload forgets them.

export const element = (id) => document.getElementById(id);

const SCHEMA_VERSION = "1.0.1";
let token = null;
let busy = false;
let hasError = false;
let wasPressed = false; // a button, which is then switched off and would take the keyboard's place with it
const listeners = [];

export const session = { id: "" };

/** Call `listener` whenever something changed that a page shows. */
export function onChange(listener) {
  listeners.push(listener);
}

export function changed() {
  const state = hasError ? "error" : session.id ? "active" : "idle";
  show(element("status"), state, { idle: "", active: "live", error: "alarm" }[state]);
  element("session-id").value = session.id;
  element("start-session").disabled = busy || Boolean(session.id);
  element("end-session").disabled = busy || !session.id;
  listeners.forEach((listener) => listener({ busy }));
  keepPlace();
}

/** From here on, when focus is lost, it goes to the next step: the last button that works. */
export function pressed() {
  wasPressed = true;
}

function keepPlace() {
  const here = document.activeElement;
  const next = [...document.querySelectorAll("main button:enabled")].at(-1);
  if (!wasPressed || !next || (here !== document.body && !here.disabled)) return;
  wasPressed = false;
  next.focus({ preventScroll: true });
}

/** Put a word into a live region, and its mood on the pill around it. */
export function show(region, word, mood) {
  if (region.textContent !== word) region.textContent = word;
  region.parentElement.dataset.mood = mood;
}

/** Show what went wrong: a headline, a sentence, and the id by which the operator finds it. */
export function fail(headline, detail = "", requestId = "") {
  const lines = [["headline", headline], ["detail", detail], ["request", requestId && `Request ${requestId}`]];
  element("error").replaceChildren(
    ...lines.filter(([, text]) => text).map(([name, text]) => {
      const line = document.createElement("p");
      line.className = name;
      line.textContent = text;
      return line;
    }),
  );
  hasError = true;
  changed();
  element("error").scrollIntoView({ block: "nearest" });
}

export function succeed() {
  element("error").replaceChildren();
  hasError = false;
  changed();
}

export function person() {
  return { user_id: element("user-id").value.trim(), performer_id: element("performer-id").value.trim() };
}

export const header = () => ({
  schema_version: SCHEMA_VERSION,
  record_id: crypto.randomUUID(),
  ...person(),
});

export const credential = () => token;

/** POST once, never again. Returns `{ok, code, members}`, after saying what went wrong if anything did. */
async function post(path, body) {
  const headers = { "Content-Type": "application/json" };
  if (token) headers.Authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(path, { method: "POST", headers, body: JSON.stringify(body), credentials: "omit" });
  } catch {
    fail("The server cannot be reached.", "Nothing was sent a second time. Try again when the connection is back.");
    return { ok: false };
  }
  const members = await answer.json().catch(() => ({}));
  if (answer.ok) {
    succeed();
    return { ok: true, members };
  }
  const requestId = members.request_id ?? answer.headers.get("X-Request-ID") ?? "";
  fail(`${answer.status} ${members.code ?? ""}`.trim(), members.detail ?? "The server gave no reason.", requestId);
  return { ok: false, code: members.code };
}

/** Let one action run at a time. */
export async function exclusively(action) {
  if (busy) return;
  busy = true;
  changed();
  try {
    await action();
  } finally {
    busy = false;
    changed();
  }
}

async function start() {
  const { ok, members } = await post("/session_manager/sessions.start", header());
  if (ok) session.id = members.session_id;
}

async function end() {
  if (!session.id) return;
  const { ok, code } = await post("/session_manager/sessions.end", { ...header(), session_id: session.id });
  if (ok || code === "SESSION_ALREADY_CLOSED") session.id = "";
}

async function signIn(submitted) {
  submitted.preventDefault();
  const { ok, members } = await post("/auth/token", {
    username: element("username").value,
    password: element("password").value,
  });
  if (!ok) return;
  token = members.access_token;
  element("password").value = "";
  element("signed-in").textContent = `signed in as ${members.user_id}`;
  element("user-id").value = element("performer-id").value = members.user_id;
}

for (const [name, action] of [["start-session", start], ["end-session", end]]) {
  element(name).addEventListener("click", () => {
    pressed();
    exclusively(action);
  });
}
element("sign-in")?.addEventListener("submit", (submitted) => exclusively(() => signIn(submitted)));
