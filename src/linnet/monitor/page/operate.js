// The page: what the results say, in the order in which somebody who is paged asks.

const REFRESH = 60_000, STALE_BLOCKS = 3, STREAMS = 12, LABELS = 8;
const SUPERSCRIPT = "⁰¹²³⁴⁵⁶⁷⁸⁹";
const STREAM = {
  confidence: "Confidence", tokens: "Length of texts", surprise: "Unusual words", pieces: "Words in pieces",
  truncated: "Texts cut off", abstained: "Abstained", fast: "Small model answered",
};
const RANKS = new Set(["confidence", "tokens", "surprise", "pieces"]);
const GUARDRAIL = {
  failures: "Failures", slow: "Slow answers", abstained: "Abstained", truncated: "Texts cut off",
  corrections: "Reported wrong", feedback: "Any feedback",
};
const VERDICT = {
  keep: ["good", "✓", () => "Keep the champion."],
  retrain: ["warn", "↻", () => "Retrain the model."],
  promote: ["good", "↑", ({ arm, next_share: share }) => isNumber(share) && share < 1
    ? ["Raise ", isolated(arm ?? "the challenger"), ` to ${percent(share, 0)}.`]
    : ["Promote ", isolated(arm ?? "the challenger"), "."]],
  roll_back: ["bad", "↩", ({ arm }) => ["Roll back ", isolated(arm ?? "the challenger"), "."]],
  invalid: ["warn", "!", () => "No verdict: the figures can't be trusted."],
};

const number = (value, digits = 2) => isNumber(value) ? value.toLocaleString("en", { maximumSignificantDigits: digits }) : "–";
const count = (value) => isNumber(value) ? Math.round(value).toLocaleString("en") : "–";
const counted = (value, noun, plural = `${noun}s`) => `${count(value)} ${value === 1 ? noun : plural}`;
const percent = (share, digits = 1) => isNumber(share) ? `${(100 * share).toFixed(digits)}\u00a0%` : "–";
const points = (share) => isNumber(share) ? `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(1)}` : "–";
const between = (low, high, write = percent) => `${write(low)} to ${write(high)}`;
const share = (value) => percent(value, isNumber(value) && value < .1 && Math.round(100 * value) !== 100 * value ? 1 : 0);

// Evidence, which is kept as a logarithm of base 10.
function power(log10) {
  if (log10 < 4) return count(10 ** log10);
  return `10${[...String(Math.round(log10))].map((digit) => SUPERSCRIPT[digit]).join("")}`;
}
const evidence = (log10) => !isNumber(log10) ? "–" : log10 < 1 ? (10 ** log10).toFixed(1) : log10 < 6 ? number(10 ** log10, 3) : power(log10);

function dated(seconds, options) {
  const date = new Date(1000 * seconds);
  return Number.isNaN(date.getTime()) ? "–" : date.toLocaleString("en-GB", { timeZone: "UTC", ...options });
}
const day = (seconds) => dated(seconds, { day: "numeric", month: "short" });
const hour = (seconds) => dated(seconds, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });
const moment = (seconds) => `${dated(seconds, { day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit" })} UTC`;
function lasting(seconds) {
  const [unit, size] = [["day", 86400], ["hour", 3600], ["minute", 60]].find(([, each]) => seconds >= 1.5 * each || seconds === each) ?? ["second", 1];
  return counted(Math.round(seconds / size), unit);
}

// The block that is looked at: the last one, or one before.
const cursor = {
  followers: [], at: 0,
  reset(at) { this.followers = []; this.at = at; },
  follow(act) { this.followers.push(act); },
  move(at) { if (at !== this.at) { this.at = at; this.show(); } },
  show() { for (const act of this.followers) act(this.at); },
};

const streamName = (name) => name.startsWith("label:")
  ? ["Label ", isolated(name.slice(6))] : [STREAM[name] ?? isolated(name)];
const plainName = (name) => name.startsWith("label:") ? `Label ${name.slice(6)}` : STREAM[name] ?? name;
const meanOf = (name) => RANKS.has(name) ? (value) => isNumber(value) ? value.toFixed(2) : "–" : percent;

const code = (text) => element("code", {}, text);
// What a sentence sets in backticks is code.
const prose = (text) => String(text).split("`").map((part, index) => index % 2 ? code(part) : part);
const card = (title, ...children) => element("section", { class: "card", "aria-label": title }, ...children);
const head = (title, ...about) => element("div", { class: "head" }, element("h2", {}, title), element("p", { class: "soft" }, ...about.flat()));

delete SAID.not_allowed;  // the service's own words say which key it takes, or how to open the route

let data = null, shownArm = null, shown = "", asking = null;

// ------------------------------------------------------------------------------------- verdict

function verdictCard() {
  const decision = data.decision;
  const alarms = data.drift?.alarms ?? [];
  const [kind, sign, sentence] = decision ? VERDICT[decision.verdict]
    : [alarms.length ? "warn" : "", "·", () => "No decision yet."];
  const made = card("Verdict", element("span", { class: "sign", "aria-hidden": "true" }, sign),
    element("h2", {}, ...[sentence(decision ?? {})].flat()));
  made.classList.add("verdict");
  if (kind) made.classList.add(kind);
  if (!decision) made.append(element("p", { class: "soft" }, ...prose("`linnet decide` makes one of the figures below.")));
  const reasons = (decision?.reasons ?? []).map(reason);
  if (reasons.length) made.append(element("ul", { class: "plain" }, ...reasons));
  const missing = decision?.missing ?? [];
  if (missing.length) made.append(element("p", { class: "label" }, decision.verdict === "keep" ? "Missing for another verdict" : "Missing"),
    element("ul", { class: "plain" }, ...missing.map((each) => element("li", {}, ...prose(each)))));
  const buttons = allowed();
  if (buttons.length) made.append(element("div", { class: "actions" }, ...buttons));
  return made;
}

function reason({ rule, measured, threshold, evidence_log10: log10, assumption }) {
  const value = (each) => typeof each === "number" ? number(each, 4) : typeof each === "string" ? each : JSON.stringify(each);
  const known = (each) => each !== null && each !== undefined;
  const facts = [known(measured) && `measured ${value(measured)}`, known(threshold) && `threshold ${value(threshold)}`,
    isNumber(log10) && `evidence ${evidence(log10)}`].filter(Boolean).join(", ");
  return element("li", {}, ...prose(capital(rule)), facts && ": ", element("span", { class: "number" }, isolated(facts)),
    assumption ? element("div", { class: "soft" }, ...prose(assumption)) : "");
}

// Buttons for what the decision allows, if the arms at work are those that it is about.
function allowed() {
  const decision = data.decision, arms = data.arms;
  if (!arms) return [];
  const buttons = [];
  const live = arms.find((each) => each.arm === decision?.arm);
  const judged = data.experiment?.challengers?.[decision?.arm]?.digest;
  const name = decision?.arm ?? "";
  if (live && judged && live.digest !== judged)
    return [element("p", { class: "soft" }, "The decision is about another bundle than the one at work. Run the commands again.")];
  if (live && decision.verdict === "roll_back" && live.share > 0)
    buttons.push(action(`Roll back ${name}`, "admin/rollback", { arm: name, reset: false },
      `${name} gets no more traffic. It stays loaded, and nothing is lost. A person must reset it.`, true));
  const next = decision?.next_share;
  if (live && decision.verdict === "promote" && isNumber(next) && live.role === "challenger" && !live.rolled_back && next > live.share)
    buttons.push(action(`Raise ${name} to ${share(next)}`, "admin/shares", { shares: { [name]: next } },
      `${name} gets ${share(next)} of the traffic instead of ${share(live.share)}. Users who have it keep it.`, true));
  for (const arm of arms.filter((each) => each.rolled_back && !(decision?.verdict === "roll_back" && decision.arm === each.arm)))
    buttons.push(action(`Reset ${arm.arm}`, "admin/rollback", { arm: arm.arm, reset: true },
      `${arm.arm} was rolled back. After the reset it may get traffic again, and its guardrails start over.`, false));
  return buttons;
}

function action(name, path, body, about, main) {
  return element("button", { type: "button", class: main ? "main" : null, onclick: ({ currentTarget }) =>
    confirm(name, about, async () => {
      try {
        await ask(path, body);
        byId("failure").replaceChildren();
        await read(true);
        byId("when").textContent = `Done: ${name}.`;
      } catch (error) { showFailure(byId("failure"), error); }
    }, currentTarget) }, isolated(name));
}

function confirm(name, about, act, from) {
  const dialog = byId("confirm");
  byId("confirm-title").replaceChildren(isolated(`${name}?`));
  byId("confirm-text").replaceChildren(isolated(about));
  byId("confirm-yes").replaceChildren(isolated(name));
  byId("confirm-yes").onclick = () => { dialog.close(); act(); };
  byId("confirm-no").onclick = () => dialog.close();
  dialog.onclose = () => { if (from.isConnected) from.focus(); };
  dialog.showModal();
  byId("confirm-no").focus();
}

// ---------------------------------------------------------------------------------------- notes

function notes() {
  const made = [];
  const note = (kind, ...children) => made.push(element("div", { class: `note ${kind}` }, ...children));
  const limit = STALE_BLOCKS * (data.drift?.promise?.block_seconds ?? 3600);
  if (data.age_seconds > limit)
    note("bad", element("strong", {}, `The monitor last ran ${lasting(data.age_seconds)} ago.`), " What is below is old. ", ...prose("Run `linnet monitor`, and see why its timer stopped."));
  for (const sentence of Object.values(data.broken ?? {})) note("bad", ...prose(sentence));
  for (const [name, command] of Object.entries(data.missing ?? {}))
    note("", ...prose(`There is no \`${name}\` yet: \`${command}\` writes it.`));
  for (const arm of (data.arms ?? []).filter((each) => each.rolled_back))
    note("bad", element("strong", {}, isolated(arm.arm), " was rolled back."), " It gets no traffic until a person resets it.");
  for (const alarms of incidents()) note("warn", ...incident(alarms));
  for (const sentence of data.experiment?.notes ?? []) note("", ...prose(sentence));
  const losses = data.experiment?.losses ?? {};
  if (losses.log_share > .01) note("bad", `The log lost ${percent(losses.log_share)} of its records. Those are not lost at random.`);
  return made;
}

// Alarms of one cause, together.
function incidents() {
  const found = new Map();
  for (const alarm of data.drift?.alarms ?? []) {
    const key = alarm.incident ?? alarm;
    found.set(key, [...(found.get(key) ?? []), alarm]);
  }
  return [...found.values()];
}

function incident(alarms) {
  const since = Math.min(...alarms.map((alarm) => alarm.since));
  const one = (alarm) => [...streamName(alarm.stream), " of ", isolated(alarm.arm), alarm.direction ? ` is ${alarm.direction} its zone` : " left its zone"];
  if (alarms.length === 1) return [element("strong", {}, ...one(alarms[0])), ` since ${moment(since)}. Evidence ${evidence(alarms[0].evidence_log10)}.`];
  return [element("strong", {}, `${count(alarms.length)} streams left their zones since ${moment(since)}.`), " They probably have one cause.",
    element("ul", {}, ...alarms.map((alarm) => element("li", {}, ...one(alarm), `: evidence ${evidence(alarm.evidence_log10)}`)))];
}

// ---------------------------------------------------------------------------------------- drift

function promised() {
  const { horizon_days: days, false_alarms: rate, block_seconds: seconds, evidence_limit_log10: limit } = data.drift.promise ?? {};
  if (!isNumber(days)) return "";
  return `At most a ${percent(rate, 0)} chance of any false alarm within ${counted(days, "day")}, over all streams, `
    + `while each mean stays in its zone. Blocks of ${lasting(seconds ?? 3600)}; alarm at ${evidence(limit)}.`;
}

function referenceSentence() {
  const reference = data.drift.reference;
  if (!reference) return "There is no reference yet.";
  if (reference.kind === "training") return "Compared with the validation rows of the bundle: this is reported once and raises no alarm. Adopt a stretch of the log with --adopt.";
  return `Compared with ${counted(reference.rows, "row")} of the log${isNumber(reference.since) ? `, ${day(reference.since)} to ${day(reference.until)}` : ""}, which a person adopted.`;
}

function scrubber(times) {
  const input = element("input", { type: "range", min: 0, max: times.length - 1, value: times.length - 1, id: "block" });
  const output = element("output", { for: "block" });
  input.addEventListener("input", () => cursor.move(Number(input.value)));
  cursor.follow((index) => {
    const said = `${index === times.length - 1 ? "Latest block, " : ""}${moment(times[index])}`;
    input.value = index;
    input.setAttribute("aria-valuetext", said);
    output.textContent = said;
  });
  return element("div", { class: "time" }, element("label", { for: "block" }, "Look back"), input, output);
}

function streamChart(name, stream, blocks) {
  const limit = data.drift.promise?.evidence_limit_log10 ?? null;
  const times = blocks.map((block) => block.start);
  const pairs = blocks.map((block) => block.streams?.[name] ?? [null, null]);
  const alarm = isNumber(stream.alarm_since);
  const write = meanOf(name);
  const tag = alarm ? element("span", { class: "tag bad" }, isNumber(stream.acknowledged) ? "alarm, seen" : "alarm") : "";
  const figures = element("p");
  const zone = stream.zone ? `Zone ${between(...stream.zone, write)}` : "";
  cursor.follow((index) => {
    const last = index >= pairs.length - 1;
    const [mean, log10] = last ? [pairs.at(-1)?.[0] ?? stream.mean, stream.evidence_log10 ?? pairs.at(-1)?.[1]] : pairs[index];
    figures.replaceChildren("Evidence ", element("b", {}, evidence(log10)), `, ${RANKS.has(name) ? "mean rank" : "share"} `,
      element("b", {}, write(mean)), zone && element("br"), zone);
  });
  const said = `${plainName(name)}: evidence ${evidence(stream.evidence_log10)}${limit ? `, alarm at ${evidence(limit)}` : ""}; `
    + `mean ${write(stream.mean)}. ${zone}${alarm ? `; alarm since ${moment(stream.alarm_since)}` : ""}.`;
  const drawn = times.length > 1 ? evidenceChart(said, times, pairs.map((pair) => pair[1]), pairs.map((pair) => pair[0]),
    { limit, zone: stream.zone, reference: stream.reference_mean, since: stream.alarm_since, alarm })
    : element("p", { class: "soft" }, "Too few blocks for a line.");
  return element("div", { class: "stream" }, element("h3", {}, element("span", {}, ...streamName(name)), tag), figures, drawn);
}

function driftCard(name, arm, blocks) {
  const streams = Object.entries(arm.streams ?? {}).sort(([, a], [, b]) =>
    isNumber(b.alarm_since) - isNumber(a.alarm_since) || (b.evidence_log10 ?? -99) - (a.evidence_log10 ?? -99));
  const made = card("Has the traffic changed?", head("Has the traffic changed?", referenceSentence()));
  if (arm.state === "no_reference") made.append(element("p", {}, ...prose("The monitor knows no reference of this bundle. Name the bundle to `linnet monitor` too.")));
  if (arm.state === "too_few") made.append(element("p", {}, `Too few texts to say: ${counted(arm.rows, "row")}.`));
  if (blocks.length > 1) made.append(scrubber(blocks.map((block) => block.start)));
  const charts = streams.map(([stream, value]) => streamChart(stream, value, blocks));
  made.append(element("div", { class: "grid" }, ...charts.slice(0, STREAMS)));
  if (charts.length > STREAMS) made.append(element("details", {}, element("summary", {}, `${counted(charts.length - STREAMS, "more stream")}`),
    element("div", { class: "grid" }, ...charts.slice(STREAMS))));
  made.append(element("p", { class: "soft" }, "Upper line: evidence of a change, with its limit. Lower line: the mean, with the zone that counts as no change. ", promised()),
    figuresTable(streams));
  return made;
}

function figuresTable(streams) {
  if (!streams.length) return "";
  const row = ([name, stream]) => {
    const write = meanOf(name);
    return element("tr", {}, element("th", { scope: "row" }, ...streamName(name)), cell(write(stream.mean)), cell(write(stream.reference_mean)),
      cell(stream.zone ? between(...stream.zone, write) : "–"), cell(evidence(stream.evidence_log10)), cell(count(stream.rows)),
      element("td", {}, isNumber(stream.alarm_since) ? moment(stream.alarm_since) : "none"));
  };
  return element("details", {}, element("summary", {}, "As a table"), table("Streams",
    ["Stream", "#Mean", "#Reference", "#Zone", "#Evidence", "#Texts", "Alarm since"], streams.map(row)));
}

const capital = (text) => { const plain = String(text ?? "").replaceAll("_", " "); return plain.charAt(0).toUpperCase() + plain.slice(1); };
const cell = (text) => element("td", { class: "number" }, text);

function table(name, columns, rows) {
  const heads = columns.map((title) => element("th", { scope: "col", class: title.startsWith("#") ? "number" : null }, title.replace("#", "")));
  return element("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": name },
    element("table", {}, element("thead", {}, element("tr", {}, ...heads)), element("tbody", {}, ...rows)));
}

// ------------------------------------------------------------------------------------- accuracy

const STATE = { measured: ["good", "measured"], estimated: ["warn", "estimated"], unknown: ["bad", "unknown"] };

function accuracyCard(arm, blocks) {
  const accuracy = arm.accuracy;
  const made = card("How often is it right?", head("How often is it right?"));
  if (!accuracy) { made.append(element("p", { class: "soft" }, "The monitor wrote no accuracy for this model.")); return made; }
  const [kind, word] = STATE[accuracy.state];
  const left = element("div", {}, element("span", { class: `tag ${kind}` }, word),
    element("p", { class: "big" }, accuracy.state === "unknown" ? "Unknown" : percent(accuracy.value)),
    accuracy.state === "unknown" ? "" : element("p", { class: "soft" }, `${between(accuracy.low, accuracy.high)}`,
      accuracy.state === "measured" ? ", valid at any look" : ", if equal confidence means equal accuracy"));
  if (accuracy.reason) left.append(element("p", {}, ...prose(accuracy.reason)));
  if (accuracy.labels_needed > 0) left.append(element("p", {}, `${counted(accuracy.labels_needed, "more audited label")} would say.`));
  const kinds = kindsOf(accuracy);
  if (kinds) left.append(kinds);
  made.append(element("div", { class: "halves" }, left, accuracyTimeline(blocks)));
  return made;
}

function kindsOf({ measured, estimated }) {
  const ends = [measured?.low, measured?.high, estimated?.low, estimated?.high, estimated?.label_shift, ...(measured?.one_look ?? [])].filter(isNumber);
  if (!ends.length) return "";
  const low = Math.max(0, Math.floor(20 * Math.min(...ends)) / 20), high = Math.min(1, Math.ceil(20 * Math.max(...ends)) / 20);
  const kind = (name, said, about, ends, value, look) => element("div", { class: `kind ${look === "grey" ? look : ""}` },
    element("dt", {}, name), element("dd", {}, said), element("dd", { class: "bar" }, whisker(ends, value, low, high, { kind: look })),
    about ? element("dd", { class: "soft" }, about) : "");
  const made = [];
  if (measured) {
    made.push(kind("Measured, at any look", between(measured.low, measured.high),
      `${counted(measured.labels, "audited text")}${isNumber(measured.missing) && measured.missing > 0 ? `, ${count(measured.missing)} without a label: ${between(measured.low_if_missing_wrong, measured.high_if_missing_right)} if those were all wrong, or all right` : ""}`,
      [measured.low, measured.high], measured.value, ""));
    if (measured.one_look) made.push(kind("Measured, if you look once", between(...measured.one_look), `n = ${count(measured.labels)}`, measured.one_look, measured.value, "grey"));
  }
  if (estimated) {
    made.push(kind("Estimated from confidence", between(estimated.low, estimated.high), `${counted(estimated.rows, "answer")}, no label`,
      [estimated.low, estimated.high], estimated.value, "estimated"));
    if (isNumber(estimated.label_shift)) made.push(kind("If only the mix of labels changed", percent(estimated.label_shift), "", [], estimated.label_shift, "grey"));
  }
  return element("div", {}, element("dl", { class: "kinds" }, ...made),
    element("div", { class: "scale", "aria-hidden": "true" }, element("span", {}, percent(low, 0)), element("span", {}, percent(high, 0))));
}

function accuracyTimeline(blocks) {
  const measured = blocks.map((block) => block.accuracy?.measured ?? null);
  const estimated = blocks.map((block) => block.accuracy?.estimated ?? null);
  if (blocks.length < 2 || ![...measured, ...estimated].some(Boolean)) return "";
  const figures = element("p", { class: "soft number" });
  const said = (name, each) => each ? `${name} ${between(...each)}` : `${name}: nothing`;
  cursor.follow((index) => { figures.textContent = `${said("Measured", measured[index])} · ${said("Estimated", estimated[index])}`; });
  const last = (bands) => bands.filter(Boolean).at(-1);
  return element("div", {}, accuracyChart(`Accuracy over time. Latest: ${said("measured", last(measured))}, ${said("estimated", last(estimated))}.`,
    blocks.map((block) => block.start), measured, estimated), figures,
  element("p", { class: "soft" }, "Filled: measured, at any look. Dashed: estimated."));
}

// --------------------------------------------------------------------------------------- labels

function labelsCard(arm, blocks) {
  const total = new Map();
  for (const block of blocks) for (const [label, value] of Object.entries(block.labels ?? {}))
    total.set(label, (total.get(label) ?? 0) + value * (block.rows || 1));
  const labels = [...total].sort((a, b) => b[1] - a[1]).map(([label]) => label);
  if (!labels.length) return "";
  const named = labels.slice(0, LABELS), others = labels.slice(LABELS);
  const sums = blocks.map((block) => Math.max(Number.MIN_VALUE, Object.values(block.labels ?? {}).reduce((sum, each) => sum + each, 0)));
  const shareOf = (label) => blocks.map((block, index) => (block.labels?.[label] ?? 0) / sums[index]);
  const rows = named.map((label) => ({ label, name: isolated(label), shares: shareOf(label), reference: arm.streams?.[`label:${label}`]?.reference_mean }));
  if (others.length) rows.push({ label: null, name: `${counted(others.length, "other label")}`, shares: blocks.map((_, index) =>
    others.reduce((sum, label) => sum + (blocks[index].labels?.[label] ?? 0) / sums[index], 0)) });
  const now = rows.map(() => element("dd"));
  cursor.follow((index) => rows.forEach((row, at) => { now[at].textContent = percent(row.shares[index]); }));
  const group = (row, index) => {
    const swatch = element("span", { class: "swatch", "aria-hidden": "true" });
    swatch.style.background = COLOURS[index % COLOURS.length];
    return element("div", { class: "group" }, element("dt", {}, swatch, element("span", {}, row.name)), now[index],
      element("dd", { class: "soft" }, isNumber(row.reference) ? `was ${percent(row.reference)}` : ""));
  };
  const said = rows.map((row) => `${row.label ?? "others"} ${percent(row.shares.at(-1))}`).join(", ");
  return card("What does it answer?", head("What does it answer?", "Shares of the labels given, block by block."),
    element("div", { class: "halves" }, mixChart(`Label mix over time. Latest: ${said}.`, blocks.map((block) => block.start),
      rows.map((row) => row.label), rows.map((row) => row.shares)),
    element("dl", { class: "legend" }, ...rows.map(group))));
}

// ----------------------------------------------------------------------------------- experiment

function experimentCard() {
  const experiment = data.experiment;
  const challengers = Object.entries(experiment?.challengers ?? {});
  if (!challengers.length) return "";
  return card("Is the new model better?", head("Is the new model better?", experiment.experiment ? ["Experiment ", isolated(experiment.experiment)] : ""),
    ...challengers.map(([name, challenger]) => challengerPart(name, challenger)));
}

function challengerPart(name, one) {
  const made = element("div", { class: "challenger" }, element("h3", {}, isolated(name), " ", element("span", { class: "tag" },
    one.role === "shadow" ? "shadow" : `${share(one.share)} of the traffic`)),
  element("p", { class: "soft" }, [counted(one.units, "unit"), counted(one.texts, "text"), isNumber(one.hours) && counted(Math.round(one.hours), "hour"),
    one.digest && one.digest.slice(0, 12)].filter(Boolean).join(" · ")));
  if (one.ratio?.mismatch) made.append(element("div", { class: "note bad" }, element("strong", {}, "The arms don't get their shares."),
    ` Asked ${percent(one.ratio.asked)}, seen ${percent(one.ratio.seen)}. Nothing is promoted until this is explained.`));
  made.append(...ramp(one.ramp), ...harm(one), ...guardrails(one.guardrails ?? {}), ...paired(one.paired), ...split(one.split_accuracy));
  if (one.user_feedback_note) made.append(element("p", { class: "soft" }, ...prose(one.user_feedback_note)));
  return made;
}

function ramp(plan) {
  if (!plan) return [];
  const steps = [...new Set([...[.01, .05, .2, .5, 1], plan.now, plan.next].filter((each) => isNumber(each) && each > 0))].sort((a, b) => a - b);
  const step = (each) => element("li", { class: each < plan.now ? "done" : each === plan.next ? "next" : null, "aria-current": each === plan.now ? "step" : null },
    share(each));
  const conditions = (plan.conditions ?? []).map(({ name, met, value, needed }) =>
    element("li", { class: met ? "met" : null }, ...prose(capital(name)), ": ", element("span", { class: "number" },
      `${typeof value === "number" ? number(value, 4) : value ?? "–"} of ${typeof needed === "number" ? number(needed, 4) : needed ?? "–"}`), met ? ", met" : ", not met"));
  return [element("ol", { class: "steps", "aria-label": "Steps of the ramp" }, ...steps.map(step)),
    element("p", {}, plan.may_step ? `May step to ${share(plan.next)}.` : isNumber(plan.next) ? `Waits before ${share(plan.next)}.` : ""),
    ...(conditions.length ? [element("ul", { class: "checks" }, ...conditions)] : [])];
}

function harm({ harm_evidence_log10: log10, harm_limit_log10: limit }) {
  if (!isNumber(log10) || !isNumber(limit)) return [];
  const fill = element("i");
  fill.style.width = `${Math.min(100, Math.max(2, 100 * log10 / limit))}%`;
  return [element("h4", {}, "Evidence of harm"), element("div", { class: `meter ${log10 >= limit ? "bad" : ""}`, "aria-hidden": "true" }, fill),
    element("p", { class: "soft number" }, `${evidence(log10)}; rolled back at ${evidence(limit)}`)];
}

const HIGHEST = Math.log(8);

function guardrails(kinds) {
  const rate = (side) => side?.units ? element("td", { class: "number" }, percent(side.events / side.units, 2), element("div", { class: "soft" }, `${count(side.events)} of ${count(side.units)}`)) : cell("–");
  const log = (value) => isNumber(value) && value > 0 ? Math.log(value) : value === 0 ? -HIGHEST : null;
  const row = ([name, { champion, challenger, ratio, low, high, evidence_log10: log10, doubtful }]) => element("tr", {},
    element("th", { scope: "row" }, GUARDRAIL[name] ?? isolated(name), doubtful ? element("div", { class: "soft" }, "doubtful: feedback differs") : ""),
    rate(champion), rate(challenger),
    element("td", {}, element("span", { class: "number" }, `${number(ratio, 3)} (${isNumber(high) ? `${number(low, 3)} to ${number(high, 3)}` : `${number(low, 3)} or more`})`),
      whisker([log(low), log(high) ?? HIGHEST], log(ratio), -HIGHEST, HIGHEST, { marks: [0], kind: low > 1 ? "bad" : "" })),
    cell(evidence(log10)));
  const rows = Object.entries(kinds).map(row);
  return rows.length ? [element("h4", {}, "Guardrails"), table("Guardrails", ["Event", "#Champion", "#Challenger", "Ratio, at any look", "#Evidence"], rows)] : [];
}

function paired(found) {
  if (!found) return [];
  const ends = [found.low, found.high, found.difference, 0, -(found.margin ?? 0)].filter(isNumber);
  const far = Math.max(...ends.map(Math.abs), .01) * 1.15;
  const texts = `${counted(found.texts, "distinct text")}: ${count(found.same)} answered alike, ${count(found.better)} better, ${count(found.worse)} worse, ${count(found.pending)} wait for a label.`;
  return [element("h4", {}, "On the same texts"), element("p", { class: "number" }, `${points(found.difference)} points (${points(found.low)} to ${points(found.high)}, at any look)`),
    whisker([found.low, found.high], found.difference, -far, far, { marks: [0, isNumber(found.margin) ? -found.margin : null] }),
    element("div", { class: "scale", "aria-hidden": "true" }, element("span", {}, `${points(-far)}`), element("span", {}, "points"), element("span", {}, points(far))),
    element("p", { class: "soft" }, texts, isNumber(found.non_inferiority_log10) ? ` Evidence that it is not worse by ${points(found.margin).slice(1)} points: ${evidence(found.non_inferiority_log10)}, shown at 20.` : "")];
}

function split(found) {
  if (!found?.difference) return [];
  return [element("h4", {}, "On audited texts of its own"), element("p", { class: "number" }, `${points(found.difference[0])} to ${points(found.difference[1])} points, at any look`)];
}

// ----------------------------------------------------------------------------------------- next

function nextCard() {
  const todo = [];
  for (const [name, one] of Object.entries(data.experiment?.challengers ?? {})) {
    const wait = one.paired?.pending;
    if (wait > 0) todo.push([wait, ["Texts on which ", isolated(name), " and the champion disagree wait for a label. ",
      one.paired.labels_needed > 0 ? `${counted(one.paired.labels_needed, "label")} would show that it is not worse.` : "Only these tell which is better."]]);
  }
  for (const [name, arm] of Object.entries(data.drift?.arms ?? {}))
    if (arm.accuracy?.labels_needed > 0) todo.push([arm.accuracy.labels_needed, ["Audited texts of ", isolated(name), ". They are drawn at random, so they measure accuracy."]]);
  const alarms = (data.drift?.alarms ?? []).length;
  if (alarms) todo.push(["", [counted(alarms, "stream"), alarms === 1 ? " has" : " have", " changed. Label texts of the new kind, to train on."]]);
  if (!todo.length) return "";
  return card("What to label next", head("What to label next", ...prose("`linnet queue` writes these texts, and `linnet labels` reads the answers.")),
    element("ul", { class: "todo" }, ...todo.map(([many, words]) => element("li", {}, element("b", {}, many === "" ? "–" : count(many)), element("span", {}, ...words)))));
}

// ------------------------------------------------------------------------------------- the whole

function armChoice(names) {
  if (names.length < 2) return "";
  const choice = (name) => {
    const input = element("input", { type: "radio", name: "arm", value: name });
    input.checked = name === shownArm;
    input.addEventListener("change", () => { shownArm = name; draw(); byId("content").querySelector("input[name=arm]:checked").focus(); });
    const state = data.drift.arms[name].state === "alarm" ? element("span", { class: "tag bad" }, "alarm") : "";
    return element("label", {}, input, isolated(name), state);
  };
  return element("fieldset", { class: "arms" }, element("legend", {}, "Model"), ...names.map(choice));
}

function draw() {
  const names = Object.keys(data.drift?.arms ?? {}).sort((a, b) => (b === "champion") - (a === "champion"));
  if (!names.includes(shownArm)) shownArm = names[0] ?? null;
  const arm = shownArm === null ? null : data.drift.arms[shownArm];
  const blocks = (data.drift?.timeline ?? []).filter((block) => block.arm === shownArm).sort((a, b) => a.start - b.start);
  cursor.reset(blocks.length - 1);
  const parts = [verdictCard(), ...notes(), experimentCard(), nextCard()];
  if (arm) parts.push(armChoice(names), driftCard(shownArm, arm, blocks), accuracyCard(arm, blocks), labelsCard(arm, blocks));
  byId("content").replaceChildren(...parts);
  if (blocks.length) cursor.show();
  byId("when").textContent = whenSentence();
}

function whenSentence() {
  const log = data.drift?.log;
  if (!log) return "";
  const until = isNumber(log.settled_until) ? `Log until ${moment(log.settled_until)}, ` : "";
  const ran = isNumber(data.age_seconds) ? ` · monitor ran ${lasting(data.age_seconds)} ago` : "";
  return `${until}${counted(log.rows, "row")}${ran}`;
}

// Asks the service. What is on the page stays while somebody is busy in it.
async function read(anyhow) {
  asking?.abort();
  const mine = asking = new AbortController();
  let found;
  try {
    found = await ask("admin/operate", null, mine.signal);
  } catch (error) {
    if (!mine.signal.aborted) showFailure(byId("failure"), error);
    return;
  }
  byId("failure").replaceChildren();
  if (byId("key-part").contains(document.activeElement)) byId("again").focus();
  byId("key-part").hidden = true;
  const compared = JSON.stringify({ ...found, age_seconds: null });
  const busy = byId("confirm").open || byId("content").contains(document.activeElement);
  if (!anyhow && (busy || compared === shown)) return;
  data = found;
  shown = compared;
  show();
}

function show() {
  try { draw(); } catch (error) { showFailure(byId("failure"), error); }
}

const embedded = JSON.parse(byId("results").textContent);
if (embedded) {
  data = embedded;
  show();
} else {
  byId("links").hidden = byId("again").hidden = false;
  byId("again").addEventListener("click", () => read(true));
  keepKey(() => read(true));
  byId("key-part").addEventListener("submit", (event) => { event.preventDefault(); read(true); });
  read(true);
  setInterval(() => { if (!document.hidden) read(false); }, REFRESH);
}
