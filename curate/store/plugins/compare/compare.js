/* An open image beside its anomaly maps, its template and the normal images nearest to it: a plain script.
 *
 * All tiles show the same place: `view` holds the zoom and, relative to the image, what is in the middle.
 */
(() => {
  "use strict";
  const { React, recoil, __foo__: foo, __fop__: fop, __fos__: fos, __fou__: fou } = window;
  const { createElement: h, useCallback, useEffect, useLayoutEffect, useRef, useState } = React;
  const PLUGIN = "@curate/compare";
  const BACK = "#16181c", TEXT = "#f5f6f7", MUTED = "#aab1bb", BORDER = "#4b5563", RAISED = "#23272e";
  const NORMAL = "#56b4e9", ANOMALOUS = "#e69f00", NEUTRAL = "#c9cdd3", ERROR = "#ff8a5c";
  const CAPTION_PX = 84, GAP_PX = 8, LEAST_PX = 150, MOST_ZOOM = 40, ARROWS_PX = 54, BLINK_MS = 700, POLL_MS = 1000;
  const WHOLE = { zoom: 1, x: 0.5, y: 0.5 };
  const MODES = { beside: "beside it", wipe: "wipe", blink: "blink", difference: "difference" };
  const LATE = "The server does not answer. Is curate triage still running?";
  const MARKS = { normal: ["✓", NORMAL], anomalous: ["!", ANOMALOUS], unknown: ["?", NEUTRAL] };

  /** Ask one of our Python operators, past the App's queue; rejects with a text for the person. */
  async function ask(operator, dataset_name, params) {
    const body = { operator_uri: `${PLUGIN}/${operator}`, dataset_name, params, view: [] };
    const answer = await fou.getFetchFunction()("POST", "/operators/execute", body).catch(() => null);
    if (answer?.result && !answer.result.error) return answer.result;
    throw new Error(answer?.result?.error ?? answer?.error ?? LATE);
  }

  const source = (file) => fos.getSampleSrc(file);
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const word = (image) => {
    const [mark, colour] = MARKS[image.label] ?? MARKS.unknown;
    const types = image.defect_types?.length ? `, ${image.defect_types.join(", ")}` : "";
    return h("span", { style: { color: colour } }, `${mark} ${image.label}${types}`);
  };
  const line = (text, style) => h("div", { title: typeof text === "string" ? text : undefined, style }, text);

  /** Colour a grey map like the App does: Turbo, its lowest value clear unless the map stands alone. */
  function MapLayer({ file, colours, opacity, alone }) {
    const canvas = useRef(null);
    useEffect(() => {
      const image = new Image();
      let wanted = true;
      image.onload = () => {
        const to = canvas.current;
        if (!wanted || !to) return;
        [to.width, to.height] = [image.naturalWidth, image.naturalHeight];
        const context = to.getContext("2d", { willReadFrequently: true });
        context.drawImage(image, 0, 0);
        const pixels = context.getImageData(0, 0, to.width, to.height);
        const data = pixels.data, table = Uint8Array.from(atob(colours), (each) => each.charCodeAt(0));
        for (let at = 0; at < data.length; at += 4) {
          const value = data[at];
          for (let channel = 0; channel < 3; channel++) data[at + channel] = table[3 * value + channel];
          data[at + 3] = value || alone ? 255 : 0;
        }
        context.putImageData(pixels, 0, 0);
        to.dataset.painted = file;
      };
      image.src = source(file);
      return () => (wanted = false);
    }, [file, colours, alone]);
    return h("canvas", { ref: canvas, className: "curate-map", style: { ...FILL, opacity: alone ? 1 : opacity } });
  }

  const FILL = { position: "absolute", left: 0, top: 0, width: "100%", height: "100%", display: "block" };

  function Truth({ image, outlines, boxes }) {
    const stroke = { fill: "none", vectorEffect: "non-scaling-stroke" };
    const twice = (tag, shape, key) => [
      h(tag, { ...shape, ...stroke, key: `${key} under`, stroke: "#000", strokeWidth: 3.5 }),
      h(tag, { ...shape, ...stroke, key, stroke: "#fff", strokeWidth: 1.5, strokeDasharray: tag === "rect" ? "6 3" : "" }),
    ];
    const size = { viewBox: `0 0 ${image.width} ${image.height}`, preserveAspectRatio: "none" };
    const rects = boxes.flatMap(([x, y, width, height], index) => twice("rect", { x, y, width, height }, `box ${index}`));
    return h("svg", { ...size, className: "curate-truth", style: FILL }, outlines && twice("path", { d: outlines }, "mask"), rects);
  }

  /** A window onto layers that fill an image; wheel, drag and double click change the view of all.
   * Layers may be a function, which is told how to turn a share of the window's width into one of the image's. */
  function Window({ image, width, height, view, move, children }) {
    const frame = useRef(null), held = useRef(null);
    const fit = Math.min(width / image.width, height / image.height);
    const whole = [image.width * fit, image.height * fit];
    const [w, hgt] = whole.map((side) => side * view.zoom);
    const left = width / 2 - view.x * w, top = height / 2 - view.y * hgt;
    useEffect(() => {
      const wheel = (event) => {
        event.preventDefault();
        const { left: x0, top: y0 } = frame.current.getBoundingClientRect();
        const px = event.clientX - x0, py = event.clientY - y0;
        move((old) => {
          const zoom = clamp(old.zoom * Math.exp(-event.deltaY / 400), 1, MOST_ZOOM);
          if (zoom === 1) return WHOLE;
          const shift = 1 / old.zoom - 1 / zoom; // the place under the pointer stays where it is
          return {
            zoom,
            x: clamp(old.x + ((px - width / 2) / whole[0]) * shift, 0, 1),
            y: clamp(old.y + ((py - height / 2) / whole[1]) * shift, 0, 1),
          };
        });
      };
      const at = frame.current; // React's own wheel handler could not stop the page from scrolling
      at.addEventListener("wheel", wheel, { passive: false });
      return () => at.removeEventListener("wheel", wheel);
    });
    const drag = (event) => {
      if (!held.current) return;
      const [x, y] = held.current;
      held.current = [event.clientX, event.clientY];
      const dx = (event.clientX - x) / w, dy = (event.clientY - y) / hgt;
      move((old) => (old.zoom === 1 ? old : { ...old, x: clamp(old.x - dx, 0, 1), y: clamp(old.y - dy, 0, 1) }));
    };
    const grab = (event) => {
      held.current = [event.clientX, event.clientY];
      event.currentTarget.setPointerCapture(event.pointerId);
    };
    const content = { position: "absolute", left, top, width: w, height: hgt };
    if (w > 2 * image.width) content.imageRendering = "pixelated";
    return h(
      "div",
      {
        ref: frame, className: "curate-window", onPointerDown: grab, onPointerMove: drag,
        onPointerUp: () => (held.current = null), onPointerCancel: () => (held.current = null),
        onDoubleClick: () => move(() => WHOLE),
        style: { position: "relative", width, height, overflow: "hidden", background: "#000", cursor: view.zoom > 1 ? "grab" : "zoom-in", touchAction: "none" },
      },
      h("div", { className: "curate-content", style: content }, typeof children === "function" ? children((share) => (100 * (share * width - left)) / w) : children)
    );
  }

  const Picture = ({ file, style }) => h("img", { src: source(file), alt: "", draggable: false, style: { ...FILL, ...style } });

  /** The image and another one on top of each other. */
  function Both({ image, other, mode, edge }) {
    const [on, setOn] = useState(true);
    useEffect(() => {
      const timer = mode === "blink" && setInterval(() => setOn((old) => !old), BLINK_MS);
      return () => clearInterval(timer);
    }, [mode]);
    const over = {
      wipe: { clipPath: `inset(0 0 0 ${clamp(edge, 0, 100)}%)` },
      blink: { visibility: on ? "visible" : "hidden" },
      difference: { mixBlendMode: "difference" },
    }[mode];
    const border = { position: "absolute", left: `${edge}%`, top: 0, width: 0, height: "100%", borderLeft: `2px solid ${ANOMALOUS}` };
    if (mode === "beside") return h(Picture, { file: other.file });
    return [
      h(Picture, { key: 1, file: image.file }),
      h(Picture, { key: 2, file: other.file, style: over }),
      mode === "wipe" && h("div", { key: 3, style: border }),
    ];
  }

  /** Columns, and width and height of each window, that show `n` images of this shape largest. */
  function arranged(n, width, height, image) {
    let best = null;
    for (let columns = 1; columns <= n; columns++) {
      const w = Math.floor((width - (columns - 1) * GAP_PX) / columns);
      const rows = Math.ceil(n / columns);
      const hgt = Math.max(LEAST_PX, Math.floor((height - (rows - 1) * GAP_PX) / rows - CAPTION_PX));
      const scale = Math.min(w / image.width, hgt / image.height);
      if (w >= LEAST_PX && (!best || scale > best.scale)) best = { columns, w, h: hgt, scale };
    }
    return best ?? { columns: 1, w: width, h: LEAST_PX };
  }

  const control = { background: RAISED, color: TEXT, border: `1px solid ${BORDER}`, borderRadius: 4, font: "13px sans-serif", padding: "2px 8px", cursor: "pointer" };
  const button = (text, onClick, extra) => h("button", { type: "button", onClick, style: control, ...extra }, text);
  const chooser = (label, value, options, set) =>
    h("select", { "aria-label": label, value, onChange: (event) => set(event.target.value), style: control },
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

  /** Normal images as thumbnails; a click opens one, the button takes it beside the image. */
  function Strip({ data, beside, choose, open, state, embed, name }) {
    const row = { display: "flex", gap: 10, overflowX: "auto", alignItems: "flex-start" };
    const known = [...(data.template ? [{ ...data.template, said: "template" }] : []), ...(data.nearest ?? []).map((each) => ({ ...each, said: `distance ${each.distance.toPrecision(3)}` }))];
    const thumb = (each) =>
      h("div", { key: `${each.said} ${each.id}`, className: "curate-near", style: { flex: "none", width: 96, font: "12px/15px sans-serif", color: MUTED } },
        h("img", { src: source(each.file), alt: each.path, title: `${each.path}: open this image`, onClick: () => open(each.id),
          style: { width: 96, height: 62, objectFit: "contain", background: "#000", cursor: "pointer", display: "block", boxSizing: "border-box", border: `2px solid ${each.id === beside?.id ? NORMAL : "transparent"}` } }),
        line(each.said, { whiteSpace: "nowrap" }),
        each.id === beside?.id ? line("shown beside", { color: NORMAL }) : h("a", { role: "button", tabIndex: 0, onClick: () => choose(each.id), onKeyDown: (event) => event.key === "Enter" && choose(each.id), style: { color: TEXT, textDecoration: "underline", cursor: "pointer" } }, "put beside"));
    const progress = state?.running ? `Embedding ${state.n_done} of ${state.n_images || "…"} images` : "";
    return h("section", { "aria-label": "What it should look like", style: { borderTop: `1px solid ${BORDER}`, paddingTop: 6, marginTop: 8, flex: "none" } },
      line(data.nearest?.length ? "What it should look like: the nearest normal images" : "What it should look like", { font: "bold 13px/18px sans-serif", marginBottom: 4 }),
      known.length > 0 && h("div", { style: row }, known.map(thumb)),
      data.missing && h("div", { style: { color: MUTED, font: "13px/24px sans-serif" } }, `${data.missing} `,
        data.nearest === null && (progress || h(React.Fragment, null, button("Embed the images now", embed), ` or run: curate check ${name}`))),
      state?.error && line(state.error, { color: ERROR, font: "13px/18px sans-serif" }));
  }

  function useAnswer(name, id, again) {
    const [answer, setAnswer] = useState({});
    useEffect(() => {
      let wanted = true;
      if (name && id) {
        ask("compare_look", name, { id }).then(
          (data) => wanted && setAnswer({ id, data }),
          (error) => wanted && setAnswer({ id, error: error.message })
        );
      }
      return () => (wanted = false);
    }, [name, id, again]);
    return answer;
  }

  function useRoom() {
    const at = useRef(null), [room, setRoom] = useState([0, 0]);
    useLayoutEffect(() => {
      if (!at.current) return undefined;
      const watch = new ResizeObserver(([{ contentRect }]) => setRoom([contentRect.width, contentRect.height]));
      watch.observe(at.current);
      return () => watch.disconnect();
    });
    return [at, room];
  }

  function useEmbedding(name, done) {
    const [state, setState] = useState(null);
    useEffect(() => {
      if (!state?.running) return undefined;
      const timer = setTimeout(async () => {
        const next = await ask("compare_embed", name, {}).catch((error) => ({ error: error.message }));
        setState(next);
        if (!next.running && !next.error) done();
      }, POLL_MS);
      return () => clearTimeout(timer);
    }, [state, name]);
    const embed = () => ask("compare_embed", name, { start: true }).then(setState, (error) => setState({ error: error.message }));
    return [state, embed];
  }

  function Comparison() {
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
    const sides = modal?.id ? ARROWS_PX : 12; // the App's arrows lie over the sides of what is open
    const root = { height: "100%", boxSizing: "border-box", padding: `12px ${sides}px`, display: "flex", flexDirection: "column", background: BACK, color: TEXT, font: "14px/20px sans-serif", overflow: "auto" };
    const told = (text, colour = MUTED) => h("div", { id: "curate-compare", style: { ...root, color: colour } }, text);
    if (!id) return told("Open an image, or tick one in the grid: its maps, its template and the normal images nearest to it are shown here side by side.");
    if (error) return told(error, ERROR);
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

  fop.registerComponent({
    name: "compare_panel", label: "Side by side", component: Comparison, type: fop.PluginComponentType.Panel,
    activator: () => true, panelOptions: { surfaces: "grid modal", helpMarkdown: "Anomaly maps, template and nearest normal images of one image." },
  });
})();
