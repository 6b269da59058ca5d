/* Where on the part the defects of a category lie: counts per cell, painted over a normal image. A plain script. */
(() => {
  "use strict";
  const { React, recoil, __foo__: foo, __fop__: fop, __fos__: fos, __fou__: fou } = window;
  const { createElement: h, useEffect, useLayoutEffect, useRef, useState } = React;
  const PLUGIN = "@curate/density";
  const BACK = "#16181c", TEXT = "#f5f6f7", MUTED = "#aab1bb", BORDER = "#4b5563", RAISED = "#23272e", ERROR = "#ff8a5c";
  const ARROWS_PX = 54;
  const LOWEST = 40; // the darkest colours of the map cannot be told from a dark image
  const FILL = { position: "absolute", left: 0, top: 0, width: "100%", height: "100%", display: "block" };
  const LATE = "The server does not answer. Is curate triage still running?";
  const NOTHING = {
    truth: "No anomalous image of this category has a mask or a box. Accept proposals, or draw masks, and they count.",
    proposals: "No image of this category has proposals.",
    alarms: "No false alarm: no normal image of this category is at or above the threshold.",
  };
  const WHICH = { truth: "anomalous images", proposals: "images with proposals", alarms: "false alarms: normal, but at or above the threshold" };

  /** Ask one of our Python operators, past the App's queue; rejects with a text for the person. */
  async function ask(operator, dataset_name, params) {
    const body = { operator_uri: `${PLUGIN}/${operator}`, dataset_name, params, view: [] };
    const answer = await fou.getFetchFunction()("POST", "/operators/execute", body).catch(() => null);
    if (answer?.result && !answer.result.error) return answer.result;
    throw new Error(answer?.result?.error ?? answer?.error ?? LATE);
  }

  const plural = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;
  const palette = (colours) => Uint8Array.from(atob(colours), (each) => each.charCodeAt(0));
  /** Place in the palette of a count; the highest is the last. */
  const step = (n, highest) => (highest === 1 ? 255 : Math.round(LOWEST + ((255 - LOWEST) * (n - 1)) / (highest - 1)));
  const control = { background: RAISED, color: TEXT, border: `1px solid ${BORDER}`, borderRadius: 4, font: "13px sans-serif", padding: "2px 8px", cursor: "pointer", maxWidth: 260 };
  const chooser = (label, value, options, set) =>
    h("label", { style: { display: "flex", gap: 6, alignItems: "center", color: MUTED } }, label,
      h("select", { "aria-label": label, value, onChange: (event) => set(event.target.value), style: control },
        options.map(([key, text]) => h("option", { key, value: key }, text))));

  /** Answers of the server: again and again while it has masks left to read. */
  function useCounts(name, image, asked, again) {
    const [answer, setAnswer] = useState({});
    useEffect(() => {
      let wanted = true;
      (async () => {
        try {
          let data = null;
          do {
            data = await ask("density_look", name, { ...asked, image });
            if (wanted) setAnswer({ data });
          } while (wanted && data.n_left > 0);
        } catch (error) {
          if (wanted) setAnswer((old) => ({ ...old, error: error.message }));
        }
      })();
      return () => (wanted = false);
    }, [name, asked.category ?? image, asked.category, asked.source, asked.defect_type, again]);
    return answer;
  }

  function Cells({ data, highest }) {
    const canvas = useRef(null);
    useEffect(() => {
      const [rows, columns] = data.grid_hw, colours = palette(data.colours);
      const context = canvas.current.getContext("2d"), pixels = context.createImageData(columns, rows);
      data.cells.flat().forEach((n, index) => {
        if (n) pixels.data.set([...colours.subarray(3 * step(n, highest), 3 * step(n, highest) + 3), 215], 4 * index);
      });
      context.putImageData(pixels, 0, 0);
      canvas.current.dataset.painted = `${data.source} ${data.n_marked}`;
    }, [data, highest]);
    const [height, width] = data.grid_hw;
    return h("canvas", { ref: canvas, id: "curate-density-cells", width, height, style: { ...FILL, imageRendering: "pixelated" } });
  }

  function Legend({ colours, highest }) {
    const table = palette(colours);
    const stops = Array.from({ length: 9 }, (_, index) => {
      const at = 3 * Math.round(LOWEST + ((255 - LOWEST) * index) / 8);
      return `rgb(${table.subarray(at, at + 3).join(",")})`;
    });
    const bar = { width: 160, height: 12, borderRadius: 2, background: highest === 1 ? stops[8] : `linear-gradient(to right, ${stops.join(",")})` };
    return h("div", { style: { display: "flex", gap: 8, alignItems: "center", color: MUTED } },
      highest > 1 && "1", h("div", { style: bar }), `${plural(highest, "image")} per cell; clear: none`);
  }

  /** The picture: hovering tells the count of a cell; a click, or a drag over several, shows their images. */
  function Picture({ data, width, height, highest, tell, pick }) {
    const [rows, columns] = data.grid_hw, start = useRef(null), [box, setBox] = useState(null);
    const scale = Math.min(width / columns, height / rows);
    const cell = (event) => {
      const { left, top, width: w, height: hgt } = event.currentTarget.getBoundingClientRect();
      const inside = (value, n) => Math.min(n - 1, Math.max(0, Math.floor(value)));
      return [inside(((event.clientY - top) / hgt) * rows, rows), inside(((event.clientX - left) / w) * columns, columns)];
    };
    const span = ([r0, c0], [r1, c1]) => [Math.min(r0, r1), Math.min(c0, c1), Math.max(r0, r1), Math.max(c0, c1)];
    const move = (event) => {
      const here = cell(event);
      if (start.current) setBox(span(start.current, here));
      tell(here);
    };
    const down = (event) => {
      start.current = cell(event);
      event.currentTarget.setPointerCapture(event.pointerId);
      setBox(span(start.current, start.current));
    };
    const up = (event) => {
      if (!start.current) return;
      const [r0, c0, r1, c1] = span(start.current, cell(event));
      start.current = null;
      const cells = [];
      for (let r = r0; r <= r1; r++) for (let c = c0; c <= c1; c++) if (data.cells[r][c]) cells.push(r * columns + c);
      pick(cells);
    };
    const outline = box && {
      position: "absolute", pointerEvents: "none", border: "2px solid #fff", boxShadow: "0 0 0 1px #000", boxSizing: "border-box",
      left: box[1] * scale, top: box[0] * scale, width: (box[3] - box[1] + 1) * scale, height: (box[2] - box[0] + 1) * scale,
    };
    const frame = { position: "relative", width: columns * scale, height: rows * scale, background: "#000", cursor: "crosshair", touchAction: "none", userSelect: "none" };
    return h("div", { id: "curate-density-picture", style: frame, onPointerMove: move, onPointerDown: down, onPointerUp: up, onPointerLeave: () => tell(null) },
      data.example && h("img", { src: fos.getSampleSrc(data.example.file), alt: "", draggable: false, style: { ...FILL, filter: "grayscale(1) brightness(0.75)" } }),
      h(Cells, { data, highest }), box && h("div", { style: outline }));
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

  /** What the picture counts, in words. */
  function summary(data, kind) {
    const { n_images, n_marked, n_unmarked, n_left } = data;
    if (n_left) return `Reading masks: ${n_images - n_left} of ${n_images}`;
    const rest = n_unmarked ? `; ${n_unmarked} of them tell no place` : "";
    return `${n_marked} of ${n_images} ${WHICH[kind]}${rest}`;
  }

  function Density() {
    const name = recoil.useRecoilValue(fos.datasetName), modal = recoil.useRecoilValue(fos.modalSelector);
    const [asked, setAsked] = useState({}), [again, setAgain] = useState(0);
    const [here, setHere] = useState(null), [said, setSaid] = useState(null);
    const [at, [width, height]] = useRoom();
    const { data, error } = useCounts(name, modal?.id, asked, again);
    const change = (changed) => { setAsked((old) => ({ ...old, ...changed })); setSaid(null); };
    const sides = modal?.id ? ARROWS_PX : 12; // the App's arrows lie over the sides of what is open
    const root = { height: "100%", boxSizing: "border-box", padding: `12px ${sides}px`, display: "flex", flexDirection: "column", gap: 8, background: BACK, color: TEXT, font: "14px/20px sans-serif", overflow: "auto" };
    if (!data) return h("div", { id: "curate-density", style: { ...root, color: error ? ERROR : MUTED } }, error ?? "Looking…");
    const kind = data.source.split(":")[0];
    const highest = Math.max(0, ...data.cells.flat());
    async function pick(cells) {
      if (!cells.length) return setSaid("Nothing is marked there.");
      try {
        const { ids } = await ask("density_images", name, { ...asked, category: data.category, source: data.source, cells });
        setSaid(`The grid shows the ${plural(ids.length, "image")} of ${plural(cells.length, "cell")}.`);
        foo.executeOperator("show_samples", { samples: ids });
      } catch (failure) {
        setSaid(failure.message);
      }
    }
    const everything = () => { foo.executeOperator("show_samples", { samples: null }); setSaid(null); };
    const hint = here ? `${plural(data.cells[here[0]][here[1]], "image")} of ${data.n_marked} in this cell` : said ?? "Click a cell, or drag over several, to see their images in the grid.";
    const types = [["", "all defect types"], ...data.types.map(([each, n]) => [each, `${each} (${n})`])];
    return h("div", { id: "curate-density", "data-left": data.n_left, style: root },
      h("div", { role: "toolbar", style: { display: "flex", gap: 14, flexWrap: "wrap", alignItems: "center", flex: "none", font: "13px sans-serif" } },
        data.categories.length > 1 && chooser("Category", data.category, data.categories.map((each) => [each, each]), (category) => change({ category, defect_type: "" })),
        chooser("Count", data.source, data.sources.map((each) => [each.source, each.said]), (source) => change({ source, category: data.category, defect_type: "" })),
        types.length > 1 && chooser("Type", asked.defect_type ?? "", types, (defect_type) => change({ defect_type, category: data.category })),
        h("button", { type: "button", style: control, onClick: () => setAgain((old) => old + 1) }, "refresh")),
      h("div", { role: "status", style: { flex: "none" } }, error ? h("span", { style: { color: ERROR } }, error) : h(React.Fragment, null, h("b", null, data.category), `: ${summary(data, kind)}`)),
      h("div", { ref: at, style: { flex: "1 1 0", minHeight: 160 } },
        highest === 0 && !data.n_left
          ? h("div", { style: { color: MUTED } }, NOTHING[kind])
          : width > 0 && h(Picture, { data, width, height, highest, tell: setHere, pick })),
      highest > 0 && h("div", { style: { display: "flex", gap: 16, flexWrap: "wrap", alignItems: "center", flex: "none", font: "13px/20px sans-serif" } },
        h(Legend, { colours: data.colours, highest }), h("span", { style: { color: MUTED } }, hint),
        said && h("button", { type: "button", style: control, onClick: everything }, "all images again")));
  }

  fop.registerComponent({
    name: "density_panel", label: "Where defects lie", component: Density, type: fop.PluginComponentType.Panel,
    activator: () => true, panelOptions: { surfaces: "grid modal", helpMarkdown: "How many images mark something in each cell of the part." },
  });
})();
