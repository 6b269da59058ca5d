// What lies on top of each other in a window: pictures, maps, the ground truth.

import { ANOMALOUS, FILL, palette } from "../common/look.js";

const { React, __fos__: fos } = window;
const { createElement: h, useEffect, useRef, useState } = React;
const BLINK_MS = 700;

export const source = (file) => fos.getSampleSrc(file);
export const clamp = (value, low, high) => Math.min(high, Math.max(low, value));

/** Colour a grey map like the App does: Turbo, its lowest value clear unless the map stands alone. */
export function MapLayer({ file, colours, opacity, alone }) {
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
      const data = pixels.data, table = palette(colours);
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

export function Truth({ image, outlines, boxes }) {
  const stroke = { fill: "none", vectorEffect: "non-scaling-stroke" };
  const twice = (tag, shape, key) => [
    h(tag, { ...shape, ...stroke, key: `${key} under`, stroke: "#000", strokeWidth: 3.5 }),
    h(tag, { ...shape, ...stroke, key, stroke: "#fff", strokeWidth: 1.5, strokeDasharray: tag === "rect" ? "6 3" : "" }),
  ];
  const size = { viewBox: `0 0 ${image.width} ${image.height}`, preserveAspectRatio: "none" };
  const rects = boxes.flatMap(([x, y, width, height], index) => twice("rect", { x, y, width, height }, `box ${index}`));
  return h("svg", { ...size, className: "curate-truth", style: FILL }, outlines && twice("path", { d: outlines }, "mask"), rects);
}

export const Picture = ({ file, style }) => h("img", { src: source(file), alt: "", draggable: false, style: { ...FILL, ...style } });

/** The image and another one on top of each other. */
export function Both({ image, other, mode, edge }) {
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
