// What the person sees and does: choices, histogram, lines, counts, and keeping a line as a decision.

import { useRoom } from "../common/room.js";
import { ask } from "../common/server.js";
import * as numbers from "./numbers.js";
import * as page from "./page.js";
import { COLOURS, ROWS, SIDE, draw } from "./picture.js";

const { React, __fos__: fos, recoil } = window;
const { createElement: h, useCallback, useEffect, useMemo, useRef, useState } = React;
const { ALL, plain } = numbers;
const STEPS = 1000, PATIENCE_MS = 4000;
const NEVER = { at: Infinity, from: Infinity };
const memory = {}; // what was chosen, by dataset: the App builds a panel anew when it loads the dataset anew
const STYLE = `
.curate-panel { box-sizing:border-box; width:100%; height:100%; overflow:auto; padding:8px 10px 14px; background:#16181c; color:#f5f6f7; font:13px/18px sans-serif }
.curate-panel select, .curate-panel input:not([type=range]), .curate-panel button { font:13px/18px sans-serif; color:#f5f6f7; background:#24272d; border:1px solid #4b5563; border-radius:4px; padding:2px 6px; min-width:0; max-width:100% }
.curate-panel button { cursor:pointer } .curate-panel button:disabled, .curate-panel input:disabled { opacity:.45; cursor:default }
.curate-panel :focus-visible { outline:2px solid #56b4e9; outline-offset:1px }
.curate-panel table { border-collapse:collapse; width:100% } .curate-panel td, .curate-panel th { padding:1px 6px 1px 0; text-align:right; font-weight:normal; white-space:nowrap }
.curate-panel th:first-child { text-align:left } .curate-panel thead th { color:#aab1bb }
.curate-panel input[type=range] { width:100%; margin:2px 0; accent-color:#f5f6f7 }
.curate-row { display:flex; gap:6px; align-items:center; flex-wrap:wrap; margin:4px 0 } .curate-muted { color:#aab1bb } .curate-error { color:#ff8a5c }`;

/** Data of a dataset, loaded once the grid is there, and again when decisions were made or `again` is called. */
function useScores(name, detector) {
  const [held, set] = useState({ data: memory[name]?.data ?? null, error: "" });
  const again = useCallback(async () => {
    try {
      const data = await page.load(name, detector);
      (memory[name] ??= {}).data = data;
      set({ data, error: "" });
    } catch (error) {
      set((old) => ({ ...old, error: error.message }));
    }
  }, [name, detector]);
  useEffect(() => {
    let waiting = 0;
    const start = performance.now();
    const begin = () => {
      const early = !document.querySelector("[data-cy=looker]") && performance.now() - start < PATIENCE_MS;
      waiting = early ? setTimeout(begin, 100) : 0;
      if (!early) again();
    };
    const later = () => {
      clearTimeout(waiting);
      waiting = setTimeout(again, 1000);
    };
    begin();
    window.addEventListener("curate-progress", later);
    return () => {
      clearTimeout(waiting);
      window.removeEventListener("curate-progress", later);
    };
  }, [again]);
  return { ...held, again };
}

function choice(label, value, options, onChange) {
  const listed = options.map(([key, text]) => h("option", { key, value: key }, text));
  return h("select", { "aria-label": label, title: label, value, onChange: (event) => onChange(event.target.value) }, listed);
}

/** Histogram with the lines; a line follows the pointer, and is let go with it. */
function Picture({ rows, range, lines, next, movable, onMove, onRelease }) {
  const [box, [wide]] = useRoom(), width = Math.floor(wide);
  const canvas = useRef(null), held = useRef(null);
  useEffect(() => {
    if (canvas.current && width > 40) draw(canvas.current, width, rows, range, lines);
  }, [rows, range, lines, width]);
  const score = (event) => {
    const place = (event.clientX - canvas.current.getBoundingClientRect().left - SIDE) / (width - 2 * SIDE);
    return numbers.rounded(range.low + Math.min(1, Math.max(0, place)) * (range.high - range.low));
  };
  const moved = (event) => numbers.moved(next, held.current, score(event));
  const down = (event) => {
    canvas.current.setPointerCapture(event.pointerId);
    const at = score(event);
    const banded = next.from < next.at;
    held.current = banded && Math.abs(at - next.from) < Math.abs(at - next.at) ? "from" : "at";
    onMove(moved(event));
  };
  const up = (event) => {
    const let_go = held.current && moved(event);
    held.current = null;
    if (let_go) onRelease(let_go);
  };
  const told = lines.map(({ said, at }) => `${said} ${plain(at)}`).join(", ");
  return h("div", { ref: box }, h("canvas", {
    ref: canvas, role: "img", "aria-label": `Histogram of anomaly scores; ${told || "no threshold"}`,
    style: { display: "block", cursor: movable ? "ew-resize" : "default", touchAction: "none" },
    ...(movable && { onPointerDown: down, onPointerMove: (event) => held.current && onMove(moved(event)), onPointerUp: up }),
  }));
}

function Counts({ scores, now, next, part }) {
  const [before, after] = [now && numbers.count(scores, now), next && numbers.count(scores, next)];
  const known = scores.normal.length + scores.anomalous.length;
  const lines = [["False alarms", "alarms", scores.normal.length], ["Missed", "missed", scores.anomalous.length]];
  if ([now, next].some((line) => line && line.from < line.at)) lines.push(["To review", "review", known]);
  if (scores.unknown.length) lines.push(["No label, anomalous", "unknown", scores.unknown.length]);
  const cell = (counts, key) => (counts ? counts[key].toLocaleString("en") : "–");
  const change = (key) => {
    const by = before && after ? after[key] - before[key] : 0;
    return by ? ` (${by > 0 ? "+" : "−"}${Math.abs(by).toLocaleString("en")})` : "";
  };
  const head = h("tr", null, h("th", null, `${part} images`), ...["of", "in force", ...(next ? ["new"] : [])].map((text) => h("th", { key: text }, text)));
  const body = lines.map(([text, key, of]) => h("tr", { key, "data-count": key },
    h("th", null, text), h("td", { className: "curate-muted" }, of.toLocaleString("en")), h("td", null, cell(before, key)),
    next && h("td", null, cell(after, key) + change(key))));
  return h("table", null, h("thead", null, head), h("tbody", null, body));
}

/** A reason and the button that keeps the new line. */
function Keep({ data, dataset, category, next, onKept }) {
  const [why, setWhy] = useState(""), [busy, setBusy] = useState(false), [error, setError] = useState("");
  const keep = async () => {
    setBusy(true);
    setError("");
    try {
      const review_from = next.from < next.at ? { [category]: next.from } : {};
      const made = await ask("@curate/threshold/threshold_store", dataset, { detector: data.detector, values: { [category]: next.at }, review_from, why });
      onKept(made.fresh ? `Stored as decision ${made.id}, by ${made.by}.` : `Decided before: ${made.id}.`);
    } catch (reason) {
      setError(`Not stored: ${reason.message}`);
    }
    setBusy(false);
  };
  return h("div", null,
    h("div", { className: "curate-row" },
      h("input", { "aria-label": "Reason", placeholder: "Why there? Kept with the decision", value: why, style: { flex: "1 1 120px" }, onChange: (event) => setWhy(event.target.value) }),
      h("button", { disabled: busy || !why.trim(), onClick: keep }, busy ? "Storing…" : "Store as decision")),
    error && h("div", { role: "alert", className: "curate-error", style: { whiteSpace: "pre-wrap" } }, `✗ ${error}`));
}

/** Why there is nothing to draw, and what to do; "" where there is something. */
function lacking(data, dataset) {
  if (!data.detector) return `No image has an anomaly score yet. Run: curate score ${dataset}`;
  const [n, m] = [data.parts.calibration.scores.length, data.parts.test.scores.length];
  if (!n && !m) return `No image of the calibration or the test part has a score. Run: curate split ${dataset}, then: curate score ${dataset}`;
  return "";
}

export function View() {
  const dataset = recoil.useRecoilValue(fos.datasetName);
  const held = (memory[dataset] ??= {});
  const [detector, setDetector] = useState(held.detector);
  const { data, error, again } = useScores(dataset, detector);
  const said = error ? h("div", { role: "alert", className: "curate-error" }, `✗ ${error}`) : null;
  let inside = h("div", { className: "curate-muted" }, "Reading scores…");
  if (data) {
    const lack = lacking(data, dataset);
    const change = (name) => setDetector((held.detector = name));
    inside = lack ? h("div", { className: "curate-muted" }, lack) : h(Panel, { key: data.detector, data, dataset, held, again, change });
  } else if (said) inside = null;
  return h("div", { className: "curate-panel", id: "curate-threshold" }, h("style", null, STYLE), said, inside);
}

function Panel({ data, dataset, held, again, change }) {
  const [category, setCategory] = useState(data.categories.includes(held.category) ? held.category : data.categories[0]);
  const [by, setBy] = useState(held.by ?? "label"), [part, setPart] = useState("calibration");
  const [next, setNext] = useState(held.next ?? null), [note, setNote] = useState(held.note ?? "");
  Object.assign(held, { category, by, next, note });
  const view = recoil.useRecoilValue(fos.view), viewName = recoil.useRecoilValue(fos.viewName);
  const shown = data.parts[part], all = category === ALL;
  const lines = data.lines.by_category, line = lines[category] ?? lines[""];
  const now = useMemo(() => (line && !all ? numbers.cut(line) : null), [line, all]);
  const rows = useMemo(() => numbers.rowsOf(data, shown, category, by).map((row) => {
    const own = all && (lines[row.name] ?? lines[""]);
    return own ? { ...row, line: { ...numbers.cut(own), said: "" } } : row;
  }), [data, shown, category, by]);
  const scores = useMemo(() => {
    const at = data.categories.indexOf(category);
    return numbers.byLabel(shown, (i) => all || shown.categories[i] === at);
  }, [data, shown, category]);
  const cuts = rows.map((row) => row.line).filter(Boolean);
  const range = useMemo(() => numbers.rangeOf(rows, [...cuts, ...(now ? [now] : [])]), [rows, now]);
  const movable = !all && part === "calibration" && scores.normal.length > 0;
  const start = next ?? now ?? { at: range.high, from: range.high };
  const drawn = useMemo(() => [
    ...(now ? [{ ...now, said: "in force" }] : []), ...(movable && next ? [{ ...next, said: "new", dashed: true, level: 1 }] : []),
  ], [now, next, movable]);

  const grid = useRef(view); // as it is when an answer comes, not as it was when the question was asked
  grid.current = view;
  useEffect(() => {
    if (page.isOurs(view)) held.asked = false; // what was asked for has come
  }, [view]);
  const goBack = () => {
    if (held.asked || page.isOurs(grid.current)) page.back(held.before ?? {});
    held.asked = false;
  };
  const clear = (text = "") => {
    goBack();
    setNext(null);
    setNote(text);
  };
  const released = (line) => {
    setNext(line);
    const ranges = numbers.differing(now ?? NEVER, line);
    const n = numbers.within(scores, ranges);
    setNote(n ? `The grid shows the ${n.toLocaleString("en")} that would change.` : "No calibration image would change.");
    if (!n) return goBack();
    if (!held.asked && !page.isOurs(view)) held.before = { name: viewName, view };
    held.asked = true;
    return page.show(data, category, ranges);
  };
  const pick = (set) => (value) => {
    if (next) clear();
    set(value);
  };
  const options = [...data.categories.map((name) => [name, name]), ...(data.categories.length > 1 ? [[ALL, "all categories"]] : [])];
  const bandOn = start.from < start.at;
  const slider = (which, label) => h("label", { className: "curate-row" }, bandOn && h("span", { style: { flex: "0 0 72px" } }, label), h("input", {
    type: "range", "aria-label": label, title: label, style: { flex: 1 }, min: 0, max: STEPS, disabled: !movable,
    value: Math.round(((Math.max(range.low, start[which]) - range.low) / (range.high - range.low)) * STEPS) || 0,
    onChange: (event) => setNext(numbers.moved(start, which, numbers.rounded(range.low + (event.target.value / STEPS) * (range.high - range.low)))),
    onPointerUp: () => held.next && released(held.next), onKeyUp: (event) => held.next && event.key !== "Tab" && released(held.next),
  }));
  const toggleBand = () => {
    const width = (range.high - range.low) / 10;
    const at = Number.isFinite(start.at) ? start.at : numbers.rounded(range.high);
    released({ at, from: bandOn ? at : numbers.rounded(Math.max(range.low, at - width)) });
  };

  return h(React.Fragment, null,
    h("div", { className: "curate-row" },
      choice("Category", category, options, pick(setCategory)),
      !all && data.lots.length > 0 && choice("Rows", by, [["label", "by label"], ["lot", "by lot"]], setBy),
      data.detectors.length > 1 && choice("Detector", data.detector, data.detectors.map((name) => [name, name]), pick(change)),
      h("button", { "aria-pressed": part === "test", onClick: () => (next && clear(), setPart(part === "test" ? "calibration" : "test")) }, part === "test" ? "Back to calibration" : "Look at test")),
    part === "test" && h("div", { className: "curate-row", role: "note" }, "Test part, to check what is in force. No line moves here: a threshold fitted to the test looks better than it will be on the line."),
    rows.length ? h(Picture, { rows: rows.slice(0, ROWS), range, lines: drawn, next: start, movable, onMove: setNext, onRelease: released })
      : h("div", { className: "curate-muted" }, `No ${part} image of ${all ? "any category" : category} has a score.`),
    rows.length > ROWS && h("div", { className: "curate-muted" }, `and ${rows.length - ROWS} more`),
    movable && slider("at", "Threshold"),
    movable && bandOn && Number.isFinite(start.from) && slider("from", "Review from"),
    !all && rows.length > 0 && h(Counts, { scores, now, next: movable ? next : null, part }),
    all && h("div", { className: "curate-muted" }, "Each category has a threshold of its own. Choose one to move it."),
    !all && !scores.normal.length && rows.length > 0 && h("div", { className: "curate-muted" }, `Without a normal ${part} image no threshold can be judged.`),
    !all && !scores.anomalous.length && rows.length > 0 && h("div", { className: "curate-muted" }, `No anomalous ${part} image: what is missed cannot be told.`),
    note && h("div", { role: "status", style: { margin: "4px 0" } }, note),
    movable && h("div", { className: "curate-row" },
      h("button", { onClick: toggleBand }, bandOn ? "No review band" : "Add a review band"),
      next && h("button", { onClick: () => clear() }, "Put back")),
    movable && next && h(Keep, { data, dataset, category, next, onKept: async (text) => { clear(text); await again(); window.dispatchEvent(new CustomEvent("curate-threshold-stored")); page.renew(); } }),
    h("div", { className: "curate-muted", style: { marginTop: 4 } }, inForce(data.lines, line, all, dataset)));
}

function inForce(lines, line, all, dataset) {
  if (lines.lapsed) return "The threshold was decided about earlier scores and holds no more. Set a line and store it.";
  if (!Object.keys(lines.by_category).length) return `No threshold yet. Set a line and store it, or run: curate threshold ${dataset} --advise`;
  const decision = !all && line?.decided;
  if (!decision) return "";
  const who = decision.origin === "recipe" ? `the recipe, run by ${decision.by}` : decision.by;
  return `In force: ${decision.rule}, by ${who}, ${decision.at.slice(0, 10)}${decision.why ? `: ${decision.why}` : ""}`;
}
