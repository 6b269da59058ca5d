/* Which key does what, and when none may do anything.
 *
 * Letters are chosen so that none is one of the App's own for images: it uses c, f, j, p, r, s, x, z, the arrows,
 * Escape, Space, Shift, comma, full stop, + and -. The one key taken from it is "?"; its own help stays on "/".
 */
import { decide, decideMask, undo } from "./decide.js";
import { close, isAnnotating, isOpen, look, start as use, started } from "./page.js";
import { opacity, toggle, zoom } from "./sight.js";
import { closeCard, COLOURS, openCard, theCard, toast } from "./told.js";
import { begin, fields, following, isStale, open, opened, renew, step } from "./walk.js";
import { ended } from "./watch.js";

const LOOK_MS = 300;
let busy = false, wasOpen = false;

const KEYS = {
  n: () => decide("accept_normal", "✓ normal"),
  a: () => decide("mark_anomalous", "! anomalous"),
  y: () => acceptMask(),
  d: () => decideMask("reject_mask", "✗ mask rejected"),
  u: () => decide("unsure", "? unsure, second opinion wanted"),
  k: () => decide("skip", "~ skipped"),
  b: undo,
  m: () => toggle("anomaly map", "maps"),
  g: () => toggle("ground-truth mask", "masks"),
  v: () => toggle("proposed mask", "proposals"),
  q: () => opacity(-1),
  w: () => opacity(1),
  e: zoom,
  o: open,
  ArrowRight: () => step(true),
  ArrowLeft: () => step(false),
  "?": () => showHelp(),
};

/** The image's own types stay; an image without any gets the only type that the dataset knows. */
async function acceptMask() {
  if (!fields.masks.length) await begin();
  const { here, sample } = await look();
  const untyped = here && !sample?.defect_types?.length;
  const only = untyped && fields.types.length === 1 ? fields.types[0] : undefined;
  return decideMask("accept_mask", `! anomalous, mask accepted${only ? `, ${only}` : ""}`, only);
}

async function numbered(number, withMask) {
  if (!fields.masks.length) await begin();
  const name = fields.types[number - 1];
  if (!name) return toast(`No defect type has the key ${number}. Press ? for the list.`);
  if (withMask) return decideMask("accept_mask", `! anomalous, mask accepted, ${name}`, name);
  return decide("mark_anomalous", `! anomalous, ${name}`, name);
}

function meaning({ key, code, shiftKey }) {
  const row = /^Digit([1-9])$/.exec(code); // the row above the letters, whatever the layout writes with Shift
  if (row) return () => numbered(Number(row[1]), shiftKey);
  if (/^[1-9]$/.test(key)) return () => numbered(Number(key), false); // the keypad
  return Object.hasOwn(KEYS, key) ? KEYS[key] : undefined;
}

/** Whether someone is writing, or a form, a list or the annotation tools have the keyboard. */
function occupied(event) {
  const at = event.composedPath()[0];
  if (at?.closest?.("input, textarea, select, [role=textbox], [role=listbox], [role=menu]")) return true;
  if (at?.isContentEditable || event.isComposing) return true;
  const dialogs = document.querySelectorAll("[role=dialog], [role=listbox], [role=menu]");
  if ([...dialogs].some((one) => one !== theCard() && one.offsetParent !== null)) return true;
  return isOpen() && isAnnotating(); // it has keys of its own: b is its brush
}

function pressed(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || !started() || occupied(event)) return;
  const { key } = event;
  if (key === "Escape") {
    if (theCard()) take(event, closeCard);
    else if (isOpen() && !document.querySelector("[data-cy=modal] [data-cy=looker]:hover")) take(event, close);
    return; // with the mouse over the image, the App closes what is open there, one thing after the other
  }
  const run = meaning(event);
  const arrow = key === "ArrowRight" || key === "ArrowLeft";
  if (!run || (arrow && !(isOpen() && following())) || (key === "o" && isOpen())) return;
  if (theCard() && key !== "?") return;
  take(event, async () => {
    if (event.repeat && !arrow) return;
    if (busy && !arrow) toast("Not taken: the key before it is still at work.");
    if (busy) return;
    busy = true;
    try {
      await run();
    } catch (error) {
      toast(`✗ ${error.message ?? error}`, COLOURS.error, "", true);
    } finally {
      busy = false;
    }
  });
}

function take(event, run) {
  event.preventDefault();
  event.stopImmediatePropagation();
  run();
}

export async function showHelp() {
  if (theCard()) return closeCard();
  await begin();
  const { types } = fields;
  const last = Math.min(types.length, 9);
  const range = last > 1 ? `1 … ${last}` : "1";
  const decisions = [
    ["n", "normal"],
    ["a", "anomalous; the source's defect types stay"],
    ...types.map((name, index) => [String(index + 1), `anomalous, ${name}`]),
    ["u", "unsure: a second opinion is wanted"],
    ["k", "skip: looked at, not decided"],
    ["b", "take back the last decision"],
  ];
  const masks = [
    ["y", "anomalous, and the mask is right"],
    ...(types.length ? [[`Shift ${range}`, "the same, with that defect type"]] : []),
    ["d", "the mask is wrong; the label stays"],
  ];
  const sight = [
    ["e", "zoom to the strongest region, and back"],
    ["m", "anomaly map on or off"],
    ["v", "proposed mask on or off"],
    ["g", "ground-truth mask on or off"],
    ["q  w", "maps and masks fainter, stronger"],
  ];
  const walking = [
    ["→  ←", "next, previous image (when one is open)"],
    ["o", "open the ticked image, or the first one"],
    ["Esc", "closes the image"],
    ["?", "this card; Esc closes it"],
  ];
  openCard(
    [
      [["Decide", decisions], ["The proposed mask", masks]],
      [["See", sight], ["Move", walking]],
    ],
    "Decisions are about the open image, else about the ticked ones. No key acts while you write."
  );
}

export function start(hooks) {
  use(hooks);
}

window.curateIdle = () => started() && !busy; // for scripts that press the keys
window.addEventListener("keydown", pressed, true);
setInterval(() => {
  const now = isOpen();
  if (started() && now && !wasOpen) opened().catch(() => {});
  if (wasOpen && !now) {
    ended();
    if (isStale()) renew();
  }
  wasOpen = now;
}, LOOK_MS);
