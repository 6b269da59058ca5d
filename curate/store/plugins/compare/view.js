// An open image beside its anomaly maps, its template and the normal images nearest to it.

import { ANOMALOUS, CONTROL, ERROR, MUTED, NEUTRAL, NORMAL, panel } from "../common/look.js";
import { useRoom } from "../common/room.js";
import { ask } from "../common/server.js";
import { Both, MapLayer, Picture, Truth } from "./layers.js";
import { Strip, button } from "./strip.js";
import { CAPTION_PX, GAP_PX, LEAST_PX, MOST_ZOOM, WHOLE, Window, arranged } from "./window.js";

const { React, recoil, __foo__: foo, __fos__: fos } = window;
const { createElement: h, useCallback, useEffect, useState } = React;
const POLL_MS = 1000;
const MODES = { beside: "beside it", wipe: "wipe", blink: "blink", difference: "difference" };
const MARKS = { normal: ["✓", NORMAL], anomalous: ["!", ANOMALOUS], unknown: ["?", NEUTRAL] };

/** Label and defect types of an image. */
const word = (image) => {
  const [mark, colour] = MARKS[image.label] ?? MARKS.unknown;
  const types = image.defect_types?.length ? `, ${image.defect_types.join(", ")}` : "";
  return h("span", { style: { color: colour } }, `${mark} ${image.label}${types}`);
};

const chooser = (label, value, options, set) =>
  h("select", { "aria-label": label, value, onChange: (event) => set(event.target.value), style: CONTROL },
    Object.entries(options).map(([key, text]) => h("option", { key, value: key }, text)));
const slider = (label, value, set) =>
  h("input", { type: "range", "aria-label": label, title: label, min: 0, max: 100, value, onChange: (event) => set(Number(event.target.value)), style: { width: 90, accentColor: NORMAL } });

function Tile({ title, lines, tools, children }) {
  const caption = { height: CAPTION_PX, boxSizing: "border-box", padding: "4px 0 6px", font: "13px/17px sans-serif", overflow: "hidden" };
  const head = { display: "flex", gap: 8, alignItems: "center", fontWeight: "bold", minHeight: 19 };
  return h("figure", { className: "curate-tile", style: { margin: 0, minWidth: 0 } },
    h("figcaption", { style: caption },
      h("div", { style: head }, h("span", { style: { overflow: "hidden", textOverflow: "ellipsis", whiteSpace: "nowrap" } }, title), tools),
      lines.map((text, index) => h("div", { key: index, style: { color: MUTED } }, text))),
    children);
}

function useAnswer(name, id, again) {
  const [answer, setAnswer] = useState({});
  useEffect(() => {
    let wanted = true;
    if (name && id) {
      ask("@curate/compare/compare_look", name, { id }).then(
        (data) => wanted && setAnswer({ id, data }),
        (error) => wanted && setAnswer({ id, error: error.message })
      );
    }
    return () => (wanted = false);
  }, [name, id, again]);
  return answer;
}

function useEmbedding(name, done) {
  const [state, setState] = useState(null);
  useEffect(() => {
    if (!state?.running) return undefined;
    const timer = setTimeout(async () => {
      const next = await ask("@curate/compare/compare_embed", name).catch((error) => ({ error: error.message }));
      setState(next);
      if (!next.running && !next.error) done();
    }, POLL_MS);
    return () => clearTimeout(timer);
  }, [state, name]);
  const embed = () => ask("@curate/compare/compare_embed", name, { start: true }).then(setState, (error) => setState({ error: error.message }));
  return [state, embed];
}

export function View() {
  const modal = recoil.useRecoilValue(fos.modalSelector), ticked = recoil.useRecoilValue(fos.selectedSamples);
  const name = recoil.useRecoilValue(fos.datasetName);
  const id = modal?.id ?? [...ticked.keys()][0] ?? null;
  const [again, setAgain] = useState(0), [view, move] = useState(WHOLE), refresh = useCallback(() => setAgain((old) => old + 1), []);
  const [maps, setMaps] = useState("over"), [opacity, setOpacity] = useState(55), [truth, setTruth] = useState(true);
  const [mode, setMode] = useState("beside"), [wipe, setWipe] = useState(50), [chosen, choose] = useState(null);
  const [at, [width, height]] = useRoom();
  const [state, embed] = useEmbedding(name, refresh);
  const { id: answered, data, error } = useAnswer(name, id, again);
  useEffect(() => { move(WHOLE); choose(null); }, [id]);
  const open = recoil.useRecoilCallback(({ set }) => (other) => {
    if (modal) set(fos.modalSelector, (old) => ({ ...old, id: other }));
    else foo.executeOperator("open_sample", { id: other });
  }, [modal]);
  const root = panel(modal?.id);
  const told = (text, colour = MUTED) => h("div", { id: "curate-compare", style: { ...root, color: colour } }, text);
  if (!id) return told("Open an image, or tick one in the grid: its maps, its template and the normal images nearest to it are shown here side by side.");
  if (error) return told(`✗ ${error}`, ERROR);
  if (!data) return told("Looking…");
  const near = data.nearest ?? [];
  const beside = [data.template, ...near].find((each) => each && each.id === chosen) ?? data.template ?? near[0];
  const shape = arranged(1 + data.detectors.length + (beside ? 1 : 0), width, height, data.image);
  const frame = (image, layers) => h(Window, { image, width: shape.w, height: shape.h, view, move }, layers);
  const outline = truth && h(Truth, { key: "truth", ...data });
  const alone = maps === "alone";
  const tools = [chooser("How to compare", mode, MODES, setMode), mode === "wipe" && slider("Wipe", wipe, setWipe)];
  const same = beside && beside.width * data.image.height === beside.height * data.image.width;
  return h("div", { id: "curate-compare", "data-image": answered, style: { ...root, opacity: answered === id ? 1 : 0.5 } },
    h("div", { role: "toolbar", style: { display: "flex", gap: 12, alignItems: "center", flexWrap: "wrap", flex: "none", marginBottom: 6, font: "13px sans-serif" } },
      data.detectors.length > 0 && chooser("Maps", maps, { over: "maps over the image", alone: "maps alone", off: "no maps" }, setMaps),
      data.detectors.length > 0 && maps === "over" && h("label", null, "opacity ", slider("Opacity of the maps", opacity, setOpacity)),
      h("label", null, h("input", { type: "checkbox", checked: truth, onChange: () => setTruth(!truth) }), " ground truth"),
      h("span", { style: { color: MUTED } }, `zoom ${view.zoom.toFixed(1)} ×`),
      button("−", () => move((old) => (old.zoom / 1.5 <= 1 ? WHOLE : { ...old, zoom: old.zoom / 1.5 })), { "aria-label": "Zoom out" }),
      button("+", () => move((old) => ({ ...old, zoom: Math.min(MOST_ZOOM, old.zoom * 1.5) })), { "aria-label": "Zoom in" }),
      button("whole image", () => move(WHOLE)), button("refresh", refresh)),
    h("div", { ref: at, style: { flex: "1 1 0", minHeight: LEAST_PX + CAPTION_PX } },
      width > 0 && h("div", { style: { display: "grid", gap: GAP_PX, gridTemplateColumns: `repeat(${shape.columns}, ${shape.w}px)` } },
        h(Tile, { title: data.image.path.split("/").slice(-2).join("/"), lines: [word(data.image), data.image.split && `part of the split: ${data.image.split}`] },
          frame(data.image, [h(Picture, { key: 0, file: data.image.file }), outline])),
        data.detectors.map((each) =>
          h(Tile, { key: each.name, title: `${each.name}: ${each.score}`, lines: [h("span", { style: { color: each.alarm ? ANOMALOUS : MUTED } }, each.decision), each.standing, each.range && `colours: ${each.range}, in every image`] },
            frame(data.image, [
              !alone && h(Picture, { key: 0, file: data.image.file }),
              each.map && maps !== "off" && h(MapLayer, { key: 1, file: each.map, colours: data.colours, opacity: opacity / 100, alone }),
              outline]))),
        beside && h(Tile, { title: beside === data.template ? "template" : "normal image", tools, lines: [beside.path.split("/").slice(-2).join("/"), word(beside), mode !== "beside" && !same && "of another shape: stretched over the image"] },
          frame(mode === "beside" ? beside : data.image, (across) => h(Both, { image: data.image, other: beside, mode, edge: across(wipe / 100) }))))),
    h(Strip, { data, beside, choose, open, state, embed, name }));
}
