// Windows onto images: all show the same place. A `view` holds the zoom and, relative to the image, what is in the middle.

import { clamp } from "./layers.js";

const { createElement: h, useEffect, useRef } = window.React;
export const CAPTION_PX = 84, GAP_PX = 8, LEAST_PX = 150, MOST_ZOOM = 40;
export const WHOLE = { zoom: 1, x: 0.5, y: 0.5 };

/** A window onto layers that fill an image; wheel, drag and double click change the view of all.
 * Layers may be a function, which is told how to turn a share of the window's width into one of the image's. */
export function Window({ image, width, height, view, move, children }) {
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

/** Columns, and width and height of each window, that show `n` images of this shape largest. */
export function arranged(n, width, height, image) {
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
