// Counts per cell, painted over a normal image; cells are pointed at and picked.

import { FILL, MUTED, palette } from "../common/look.js";

const { React, __fos__: fos } = window;
const { createElement: h, useEffect, useRef, useState } = React;
const LOWEST = 40; // the darkest colours of the map cannot be told from a dark image

export const plural = (n, what) => `${n} ${what}${n === 1 ? "" : "s"}`;

/** Place in the palette of a count; the highest is the last. */
const step = (n, highest) => (highest === 1 ? 255 : Math.round(LOWEST + ((255 - LOWEST) * (n - 1)) / (highest - 1)));

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

export function Legend({ colours, highest }) {
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
export function Picture({ data, width, height, highest, tell, pick }) {
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
