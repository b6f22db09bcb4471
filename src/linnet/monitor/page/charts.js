// Small charts as SVG. They know numbers and names alone; `cursor` marks one block in all of them.

const SVG = "http://www.w3.org/2000/svg";
const NARROW = 320, WIDE = 470, LEFT = 34, RIGHT = 6;
const SHORT = 36 * 3600;  // seconds of a time axis that shows hours, not days
const COLOURS = ["#2a9d8a", "#d97b29", "#4c86d8", "#c65d8f", "#8b7fd1", "#a3862b", "#5b9a4f", "#b0635a", "#7d868f"];

function svg(tag, options = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(options)) if (value !== null) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const isNumber = (value) => typeof value === "number" && Number.isFinite(value);
const round = (value) => Math.round(100 * value) / 100;

function scale(low, high, start, end) {
  const span = high - low || 1;
  return (value) => round(start + (end - start) * (value - low) / span);
}

// The path of a line, with a gap where there is no value.
function path(points) {
  let open = false, made = "";
  for (const [x, y] of points) {
    if (!isNumber(y)) { open = false; continue; }
    made += `${open ? "L" : "M"}${x} ${y}`;
    open = true;
  }
  return made;
}

function band(xs, lows, highs) {
  const parts = [];
  let run = [];
  const close = () => {
    if (run.length) parts.push(`M${run.map(([x, , high]) => `${x} ${high}`).join("L")}L${
      run.slice().reverse().map(([x, low]) => `${x} ${low}`).join("L")}Z`);
    run = [];
  };
  xs.forEach((x, index) => isNumber(lows[index]) ? run.push([x, lows[index], highs[index]]) : close());
  close();
  return parts.join("");
}

// A chart that follows the cursor: `draw` gives its parts, `at` its dot at a block.
function chart(name, [width, height], times, parts, at) {
  const x = scale(times[0], times.at(-1), LEFT, width - RIGHT);
  const line = svg("line", { class: "cursor", y1: 2, y2: height - 14, x1: 0, x2: 0, visibility: "hidden" });
  const dot = svg("circle", { class: "dot", r: 3.2, visibility: "hidden" });
  const made = svg("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": name },
    ...parts(x), line, dot);
  cursor.follow((index) => {
    const place = x(times[index]), y = at ? at(index) : null;
    for (const end of ["x1", "x2"]) line.setAttribute(end, place);
    line.setAttribute("visibility", index < times.length - 1 ? "visible" : "hidden");
    dot.setAttribute("visibility", isNumber(y) ? "visible" : "hidden");
    if (isNumber(y)) { dot.setAttribute("cx", place); dot.setAttribute("cy", y); }
  });
  made.addEventListener("pointermove", (event) => {
    const box = made.getBoundingClientRect();
    const time = (event.clientX - box.left) / box.width * width;
    let nearest = 0;
    times.forEach((each, index) => { if (Math.abs(x(each) - time) < Math.abs(x(times[nearest]) - time)) nearest = index; });
    cursor.move(nearest);
  });
  made.addEventListener("pointerleave", () => cursor.move(times.length - 1));
  return made;
}

function timeAxis(times, width, y) {
  const write = times.at(-1) - times[0] < SHORT ? hour : day;
  const first = svg("text", { x: LEFT, y }, write(times[0]));
  const last = svg("text", { x: width - RIGHT, y, "text-anchor": "end" }, write(times.at(-1)));
  return [first, last];
}

// Evidence on a logarithmic scale with its limit, and below it the mean in its zone.
function evidenceChart(name, times, evidence, means, { limit, zone, reference, since, alarm }) {
  const top = 74, low = 86, bottom = 124;
  const most = Math.max(limit ?? 1, ...evidence.filter(isNumber), 1) * 1.08;
  const y = scale(0, most, top, 8);
  const level = (value) => isNumber(value) ? y(Math.min(most, Math.max(0, value))) : null;
  const seen = [...means.filter(isNumber), ...(zone ?? [])];
  const least = Math.min(...seen), highest = Math.max(...seen), pad = (highest - least || .1) * .12;
  const z = scale(least - pad, highest + pad, bottom, low);
  const step = [1, 2, 5, 10, 20, 50, 100, 200, 500].find((each) => each >= most / 3.5) ?? most / 3;
  const ticks = [0, 1, 2, 3].map((each) => each * step).filter((tick) => tick < most * .97);
  return chart(name, [NARROW, 140], times, (x) => {
    const xs = times.map(x), levels = evidence.map(level);
    const parts = [];
    for (const tick of ticks) parts.push(svg("line", { class: "axis", x1: LEFT, x2: NARROW - RIGHT, y1: y(tick), y2: y(tick) }),
      svg("text", { x: LEFT - 5, y: y(tick) + 3.5, "text-anchor": "end" }, power(tick)));
    if (isNumber(since) && since <= times.at(-1))
      parts.push(svg("rect", { class: "since", x: x(Math.max(since, times[0])), y: 4, height: bottom - 4,
        width: Math.max(1, NARROW - RIGHT - x(Math.max(since, times[0]))) }));
    if (isNumber(limit)) parts.push(svg("line", { class: "limit", x1: LEFT, x2: NARROW - RIGHT, y1: y(limit), y2: y(limit) }));
    const line = path(xs.map((each, index) => [each, levels[index]]));
    parts.push(svg("g", { class: alarm ? "alarm" : null },
      svg("path", { class: "area", d: band(xs, levels.map((each) => isNumber(each) ? top : null), levels) }),
      svg("path", { class: "line", d: line })));
    if (seen.length) {
      if (zone) parts.push(svg("rect", { class: "zone", x: LEFT, width: NARROW - LEFT - RIGHT, y: z(zone[1]), height: Math.max(1, z(zone[0]) - z(zone[1])) }));
      if (isNumber(reference)) parts.push(svg("line", { class: "reference", x1: LEFT, x2: NARROW - RIGHT, y1: z(reference), y2: z(reference) }));
      parts.push(svg("path", { class: "mean", d: path(xs.map((each, index) => [each, isNumber(means[index]) ? z(means[index]) : null])) }));
    }
    return [...parts, ...timeAxis(times, NARROW, 138)];
  }, (index) => level(evidence[index]));
}

function accuracyChart(name, times, measured, estimated) {
  const ends = [...measured, ...estimated].filter(Boolean).flat();
  const low = Math.max(0, Math.floor(20 * Math.min(...ends) - .2) / 20), high = Math.min(1, Math.ceil(20 * Math.max(...ends) + .2) / 20);
  const y = scale(low, high, 150, 8);
  const end = (bands, side) => bands.map((each) => each ? y(each[side]) : null);
  return chart(name, [WIDE, 172], times, (x) => {
    const xs = times.map(x);
    const steps = high - low > .42 ? .2 : high - low > .21 ? .1 : .05;
    const parts = [];
    for (let tick = low; tick <= high + 1e-9; tick += steps)
      parts.push(svg("line", { class: "axis", x1: LEFT, x2: WIDE - RIGHT, y1: y(tick), y2: y(tick) }),
        svg("text", { x: LEFT - 5, y: y(tick) + 3.5, "text-anchor": "end" }, `${Math.round(100 * tick)}`));
    return [...parts,
      svg("path", { class: "band measured", d: band(xs, end(measured, 0), end(measured, 1)) }),
      svg("path", { class: "middle measured", d: path(xs.map((each, index) =>
        [each, measured[index] ? y((measured[index][0] + measured[index][1]) / 2) : null])) }),
      svg("path", { class: "band estimated", d: band(xs, end(estimated, 0), end(estimated, 1)) }),
      ...timeAxis(times, WIDE, 169)];
  });
}

// Shares of labels, one above the other.
function mixChart(name, times, labels, shares) {
  const y = scale(0, 1, 150, 8);
  return chart(name, [WIDE, 172], times, (x) => {
    const xs = times.length > 1 ? times.map(x) : [LEFT, WIDE - RIGHT];
    const of = (index) => times.length > 1 ? index : 0;
    const below = xs.map(() => 0);
    const parts = labels.map((label, number) => {
      const lows = below.map((each) => y(each));
      xs.forEach((_, index) => { below[index] = Math.min(1, below[index] + (shares[number][of(index)] ?? 0)); });
      return svg("path", { fill: COLOURS[number % COLOURS.length], stroke: "var(--surface)", "stroke-width": .75,
        d: band(xs, lows, below.map((each) => y(each))) });
    });
    const ticks = [0, .5, 1].map((tick) => svg("text", { x: LEFT - 5, y: y(tick) + 3.5, "text-anchor": "end" }, `${100 * tick}`));
    return [...parts, ...ticks, ...timeAxis(times, WIDE, 169)];
  });
}

// An interval with its value on a scale from `low` to `high`; marks are places to compare with.
function whisker([from, to], value, low, high, { kind = "", marks = [] } = {}) {
  const place = (each) => `${Math.min(100, Math.max(0, 100 * (each - low) / (high - low || 1)))}%`;
  const made = element("div", { class: `whisker ${kind}`, "aria-hidden": "true" });
  for (const mark of marks.filter(isNumber)) { const line = element("u"); line.style.left = place(mark); made.append(line); }
  if (isNumber(from) && isNumber(to)) {
    const bar = element("i");
    bar.style.left = place(from);
    bar.style.right = `calc(100% - ${place(to)})`;
    made.append(bar);
  }
  if (isNumber(value)) { const dot = element("b"); dot.style.left = place(value); made.append(dot); }
  return made;
}
