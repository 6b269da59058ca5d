// Normal images as thumbnails, and what is said where there are none.

import { BORDER, CONTROL, ERROR, MUTED, NORMAL, TEXT } from "../common/look.js";
import { source } from "./layers.js";

const { React } = window;
const { createElement: h } = React;

export const button = (text, onClick, extra) => h("button", { type: "button", onClick, style: CONTROL, ...extra }, text);
const line = (text, style) => h("div", { title: typeof text === "string" ? text : undefined, style }, text);

/** Normal images as thumbnails; a click opens one, the button takes it beside the image. */
export function Strip({ data, beside, choose, open, state, embed, name }) {
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
    state?.error && line(`✗ ${state.error}`, { color: ERROR, font: "13px/18px sans-serif" }));
}
