// Asks the service, with the key of this tab. A page has an input #key in #key-part, and #key-hint.

const SECONDS = 30, KEY = "linnet-key";

// What a person can do about a failure. The service's own words, which are for programs, are below it on demand.
const SAID = {
  no_key: "This service asks for a key.",
  bad_key: "The service does not take this key. Check it, or ask the operator for another.",
  not_allowed: "This key is not allowed to do that. Ask the operator for one that is.",
  rate_limited: "This key has asked too often in a short time.",
  quota_used_up: "This key has used up its texts for today. The next day begins at midnight, UTC.",
  overloaded: "The service is busy.",
  too_many_connections: "The service is busy.",
  not_ready: "The service is not ready yet, or it is being stopped.",
  worker_died: "The service lost this request.",
  deadline_exceeded: "The service took too long. Try fewer or shorter texts.",
  body_too_large: "These texts are too long for one request. Try fewer or shorter ones.",
  too_many_texts: "These are too many texts for one request. Try fewer lines.",
  log_unavailable: "The service can't store the right label now.",
  unknown_prediction: "The service no longer has this answer. Classify the text again, then choose its label.",
  unknown_arm: "This model is no longer at work. Choose another.",
  internal_error: "Something went wrong in the service. Try again; if it stays, give the operator these details.",
};

class Failure extends Error {
  constructor(error, status = 0, retry = null) {
    super(error.message);
    Object.assign(this, { code: error.code, requestId: error.request_id, status, retry });
  }
  show() {
    const said = SAID[this.code] ?? this.message;
    const seconds = /^\d+$/.test(this.retry || "") ? Number(this.retry) : 0;
    const wait = seconds ? ` Try again in ${seconds} ${seconds === 1 ? "second" : "seconds"}.` : "";
    const facts = [this.code, this.status && `HTTP ${this.status}`, this.requestId && `request ${this.requestId}`];
    const ask = this.status === 401 ? element("button", { type: "button", onclick: () => byId("key").focus() },
      "Enter the key") : "";
    return element("div", { class: "failure" }, element("p", {}, isolated(said), wait), ask,
      element("details", {}, element("summary", {}, "Details for the operator"),
        said === this.message ? "" : element("p", {}, isolated(this.message)),
        element("code", {}, facts.filter(Boolean).join(" · "))));
  }
}

async function ask(path, body, signal) {
  const random = crypto.getRandomValues(new Uint8Array(16));
  const identity = Array.from(random, (byte) => byte.toString(16).padStart(2, "0")).join("");
  const headers = { "X-Request-ID": identity, "X-Request-Timeout": String(SECONDS) };
  const fail = (code, message, status) => new Failure({ code, message, request_id: identity }, status);
  const key = byId("key").value;
  if (key && !isKey(key))
    throw fail("malformed_key", "A key has letters, digits and marks, and no spaces. Paste it again.");
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body) headers["Content-Type"] = "application/json";
  const signals = [AbortSignal.timeout(1000 * (SECONDS + 5)), ...(signal ? [signal] : [])];
  let response, answer;
  try {
    response = await fetch(path, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body),
      signal: AbortSignal.any(signals), credentials: "same-origin", cache: "no-store" });
    answer = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (error.name === "TimeoutError")
      throw fail("no_answer", `There was no answer in ${SECONDS + 5} seconds. Try fewer or shorter texts.`);
    throw fail("unreachable", "The service can't be reached, or the connection broke. Try again in a moment.");
  }
  try { answer = JSON.parse(answer); } catch { answer = null; }
  if (response.ok && answer) return answer;
  if (!answer?.error?.message)
    throw fail("bad_answer", "The answer is not one of this service's. Something between it and you may have sent it.",
      response.status);
  if (response.status === 401) askForKey();
  throw new Failure({ request_id: identity, ...answer.error }, response.status, response.headers.get("Retry-After"));
}

// Never moves the focus: whoever types a text goes on typing that text.
function askForKey() {
  byId("key-part").hidden = byId("key-hint").hidden = false;
}

function showFailure(place, error) {
  const known = error instanceof Failure;
  const failure = known ? error : new Failure({ code: "defect", message: `The page failed: ${error}` });
  place.replaceChildren(failure.show());
}

// Keeps the key in this tab, and calls `use` when it changed.
function keepKey(use) {
  byId("key").addEventListener("input", () => {
    try { sessionStorage.setItem(KEY, byId("key").value); } catch { /* forbidden: it is asked for again */ }
  });
  byId("key").addEventListener("change", use);
  // Enter in this field asks with the key, and does nothing else.
  byId("key").addEventListener("keydown", (event) => {
    if (event.key === "Enter" && !event.ctrlKey && !event.metaKey) { event.preventDefault(); use(); }
  });
  try { byId("key").value = sessionStorage.getItem(KEY) || ""; } catch { /* as above */ }
  if (byId("key").value) byId("key-part").hidden = byId("key-hint").hidden = false;
}
