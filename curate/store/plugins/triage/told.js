// What the person sees of the keys: one line at the foot, and the help card.

import { ANOMALOUS, ERROR, NEUTRAL, NORMAL } from "../common/look.js";

export const COLOURS = {
  accept_normal: NORMAL, mark_anomalous: ANOMALOUS, accept_mask: ANOMALOUS, plain: NEUTRAL, error: ERROR,
};
const PAPER = "background:#16181c;color:#f5f6f7;box-sizing:border-box;font:14px/20px sans-serif;";
let card = null, note = null, fading = 0;

export const named = (samples) =>
  samples.length === 1 ? samples[0].relative_path.split("/").slice(-2).join("/") : `${samples.length} images`;

function element(tag, style, text = "") {
  const made = document.createElement(tag);
  made.style.cssText = style;
  made.textContent = text;
  return made;
}

/** One line in the margin below the image; an error stays until the next, above the App's own message. */
export function toast(text, colour = COLOURS.plain, hint = "", stays = false) {
  note?.remove();
  clearTimeout(fading);
  note = element(
    "div",
    `${PAPER}position:fixed;left:50%;bottom:${stays ? 76 : 4}px;transform:translateX(-50%);z-index:2147483000;` +
      `max-width:80vw;padding:3px 12px;border-radius:4px;border-left:6px solid ${colour};pointer-events:none;` +
      "white-space:nowrap;overflow:hidden;text-overflow:ellipsis;box-shadow:0 0 0 1px #4b5563",
    text
  );
  note.id = "curate-toast";
  note.setAttribute("role", stays ? "alert" : "status");
  if (hint) note.append(element("span", "color:#aab1bb;margin-left:12px", hint));
  document.body.append(note);
  if (!stays) fading = setTimeout(() => note.remove(), 4000);
}

export const theCard = () => card;

export function closeCard() {
  card?.remove();
  card = null;
}

/** Columns of titled groups: [[title, [[key, meaning], ...]], ...] each. */
export function openCard(columns, footnote) {
  closeCard();
  card = element(
    "div",
    `${PAPER}position:fixed;inset:0;margin:auto;width:fit-content;height:fit-content;z-index:2147483001;` +
      "max-width:94vw;max-height:92vh;overflow:auto;padding:12px 24px 16px;border-radius:8px;" +
      "box-shadow:0 0 0 1px #4b5563,0 8px 40px #000"
  );
  card.id = "curate-help";
  card.setAttribute("role", "dialog");
  card.setAttribute("aria-label", "Keys");
  const body = element("div", "display:grid;grid-auto-flow:column;gap:0 40px;align-items:start");
  for (const groups of columns) {
    const column = element("div", "min-width:0");
    for (const [title, rows] of groups) {
      column.append(element("div", "font-weight:bold;margin:8px 0 4px", title));
      const list = element("dl", "display:grid;grid-template-columns:96px auto;gap:2px 14px;margin:0 0 10px");
      for (const [key, text] of rows) {
        list.append(element("dt", "font:bold 14px/20px monospace;text-align:right;color:#56b4e9;white-space:nowrap", key));
        list.append(element("dd", "margin:0;max-width:340px;overflow-wrap:anywhere", text));
      }
      column.append(list);
    }
    body.append(column);
  }
  card.append(body, element("div", "color:#aab1bb;border-top:1px solid #4b5563;padding-top:8px", footnote));
  document.body.append(card);
}
