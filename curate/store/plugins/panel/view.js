// How far people are: asked for every few seconds, which costs the server one look at the newest verdict.

import { ANOMALOUS, NEUTRAL, NORMAL } from "../common/look.js";
import { ask } from "../common/server.js";

const { React, __foo__: foo, __fos__: fos, recoil } = window;
const { createElement: h, useCallback, useEffect, useRef, useState } = React;
const LOOK_MS = 3000, PATIENCE_MS = 4000, QUEUES_MS = 1500;
const WORDS = { normal: "✓ normal", anomalous: "! anomalous", skipped: "~ skipped", unsure: "? unsure", mask_rejected: "✗ mask rejected" };
const COLOURS = { normal: NORMAL, anomalous: ANOMALOUS };
const memory = {}; // by dataset: the App builds a panel anew when it loads the dataset anew
const STYLE = `
.curate-triage { box-sizing:border-box; width:100%; height:100%; overflow:auto; padding:8px 10px 14px; background:#16181c; color:#f5f6f7; font:13px/18px sans-serif }
.curate-triage h3 { font:bold 13px/18px sans-serif; margin:8px 0 2px; color:#aab1bb }
.curate-triage ul { list-style:none; margin:0; padding:0 } .curate-triage li { display:flex; gap:8px; align-items:baseline }
.curate-triage button { font:13px/18px sans-serif; color:#f5f6f7; background:none; border:1px solid transparent; border-radius:4px; padding:0 4px; cursor:pointer; text-align:left }
.curate-triage button:hover { border-color:#4b5563 } .curate-triage button:disabled { opacity:.45; cursor:default } .curate-triage :focus-visible { outline:2px solid #56b4e9 }
.curate-triage .name { flex:1; min-width:0; overflow:hidden; text-overflow:ellipsis; white-space:nowrap } .curate-triage .muted { color:#aab1bb } .curate-triage .error { color:#ff8a5c }
.curate-triage .chips { display:flex; flex-wrap:wrap; gap:4px; margin:6px 0 } .curate-triage .chip { border-color:#4b5563; font-size:12px } .curate-triage .chip b { margin-left:5px }
.curate-triage [aria-current=true] { background:#f5f6f7; color:#16181c } .curate-triage .chip:hover { border-color:#f5f6f7 }
.curate-triage .bar { height:6px; border-radius:3px; background:#2d3138; overflow:hidden; margin:2px 0 } .curate-triage .bar div { height:100%; background:#56b4e9 }`;

const number = (value) => value.toLocaleString("en");
const images = (n) => (n === 1 ? "1 image" : `${number(n)} images`);

/** Not while an image is open, which hides the panel, nor while a key is at work. */
const quiet = () => !document.hidden && !document.querySelector("[data-cy=modal]") && window.curateIdle?.() !== false;

/** State and queues of a dataset, kept up to date while the page is looked at. */
function useProgress(dataset) {
  const held = (memory[dataset] ??= { state: null, queues: null });
  const [, redraw] = useState(0);
  const [error, setError] = useState("");
  const due = useRef(0);
  const look = useCallback(async () => {
    try {
      const state = await ask("@curate/panel/panel_state", dataset, { known: held.state?.revision });
      setError("");
      if (state.n_images !== undefined) {
        const first = held.state === null;
        held.state = state;
        clearTimeout(due.current);
        due.current = setTimeout(count, first ? 0 : QUEUES_MS);
        if (!first) window.dispatchEvent(new CustomEvent("curate-progress"));
        redraw((n) => n + 1);
      }
    } catch (reason) {
      setError(reason.message);
    }
  }, [dataset]);
  const count = useCallback(async () => {
    try {
      held.queues = (await ask("@curate/panel/panel_queues", dataset)).queues;
      redraw((n) => n + 1);
    } catch (reason) {
      setError(reason.message);
    }
  }, [dataset]);
  useEffect(() => {
    const start = performance.now();
    const painted = () => document.querySelector("[data-cy=looker]") || performance.now() - start > PATIENCE_MS;
    let begun = held.state !== null;
    let last = 0;
    const timer = setInterval(() => {
      if (!quiet() || (!begun && !painted())) return;
      if (begun && performance.now() - last < LOOK_MS) return;
      begun = true;
      last = performance.now();
      look();
    }, 300);
    const stored = new PerformanceObserver((list) => list.getEntriesByName("curate-stored").length && quiet() && look());
    stored.observe({ type: "measure" });
    const renewed = () => count();
    window.addEventListener("curate-threshold-stored", renewed);
    return () => {
      clearInterval(timer);
      clearTimeout(due.current);
      stored.disconnect();
      window.removeEventListener("curate-threshold-stored", renewed);
    };
  }, [look]);
  return { ...held, error, look };
}

function Queues({ queues, current }) {
  if (!queues) return h("div", { className: "muted" }, "Counting the queues…");
  if (!queues.length) return h("div", { className: "muted" }, "There are no saved views yet.");
  return h("div", { className: "chips" }, queues.map((queue) => h("button", {
    key: queue.slug, title: queue.about, "data-queue": queue.slug, "aria-current": queue.slug === current,
    className: queue.n_images ? "chip" : "chip muted", onClick: () => foo.executeOperator("set_view", { name: queue.slug }),
  }, queue.name, queue.n_images !== null && h("b", null, number(queue.n_images)))));
}

function People({ people }) {
  if (!people.length) return h("div", { className: "muted" }, "Nobody has decided anything today.");
  const told = people.map(({ by, n_images, seconds }) => `${by} ${number(n_images)}${seconds === null ? "" : ` (${seconds.toFixed(1)} s each)`}`);
  return h("div", { "data-people": true }, h("span", { className: "muted" }, "Today: "), told.join(", "));
}

function Last({ last, by, dataset, look }) {
  const [busy, setBusy] = useState(""), [error, setError] = useState("");
  const undo = async ({ at, ids }) => {
    setBusy(at);
    setError("");
    try {
      const { n_verdicts } = await ask("@curate/triage/keys_decide", dataset, { operator: "undo", ids });
      if (!n_verdicts) throw new Error("this decision does not hold any more.");
      await look();
      foo.executeOperator("reload_dataset", {});
    } catch (reason) {
      setError(`Not taken back: ${reason.message}`);
    }
    setBusy("");
  };
  const rows = last.map((one) => {
    const what = one.ids.length > 1 ? images(one.ids.length) : one.name.split("/").slice(-2).join("/");
    const said = WORDS[one.verdict] + (one.defect_type ? `, ${one.defect_type}` : "");
    return h("li", { key: one.at + one.name }, h("span", { style: { color: COLOURS[one.verdict] ?? NEUTRAL, whiteSpace: "nowrap" } }, said),
      h("span", { className: "name muted", title: one.name }, what),
      h("button", { disabled: Boolean(busy), "aria-label": `Undo: ${said}, ${what}`, onClick: () => undo(one) }, busy === one.at ? "…" : "↶ undo"));
  });
  return h(React.Fragment, null, h("h3", null, `Last decisions of ${by}`), rows.length ? h("ul", null, rows) : h("div", { className: "muted" }, "None yet."),
    error && h("div", { role: "alert", className: "error" }, `✗ ${error}`));
}

export function View() {
  const dataset = recoil.useRecoilValue(fos.datasetName), current = recoil.useRecoilValue(fos.viewName);
  const { state, queues, error, look } = useProgress(dataset);
  const said = error && h("div", { role: "alert", className: "error" }, `✗ ${error}`);
  if (!state) return h("div", { className: "curate-triage" }, h("style", null, STYLE), said || h("div", { className: "muted" }, "Reading…"));
  const { n_images, n_decided } = state;
  return h("div", { className: "curate-triage", id: "curate-triage" }, h("style", null, STYLE), said,
    h("div", null, h("b", null, number(n_decided)), ` of ${images(n_images)} looked at, `, h("b", null, number(n_images - n_decided)), " to go"),
    h("div", { className: "bar", "aria-hidden": true }, h("div", { style: { width: `${n_images ? (100 * n_decided) / n_images : 0}%` } })),
    h(People, state), h(Queues, { queues, current }), h(Last, { ...state, dataset, look }));
}
