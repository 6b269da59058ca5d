// What is drawn over the images, how strongly, and how closely the open one is seen.

import { look, read, send, write } from "./page.js";
import { toast } from "./told.js";
import { begin, fields } from "./walk.js";

const { __fos__: fos } = window;
const STEP = 0.1, FRAMED = 0.4, CLOSEST = 12; // share of the window that the region takes, and the strongest zoom
const SETTLED_MS = 10000; // at the latest; the App takes a change of colours over some time later
let changed = null; // the opacity that was set last, and when
const hidden = {}; // fields that a toggle took away, to bring the same ones back

export async function toggle(kind, which) {
  if (!fields.masks.length) await begin();
  const known = fields[which];
  if (!known.length) return toast(`There is no ${kind} in this dataset.`);
  const { here, active } = await look();
  const state = fos.activeFields({ modal: Boolean(here) });
  const on = known.filter((path) => active.includes(path));
  const back = on.length ? [] : hidden[which] ?? known.slice(0, 1);
  if (on.length) hidden[which] = on;
  await write(state, [...active.filter((path) => !on.includes(path)), ...back]);
  toast(`${kind} ${on.length ? "off" : `on: ${back.join(", ")}`}`);
}

/** Make maps and masks fainter or stronger, as the slider in the App's colour settings does. */
export async function opacity(change) {
  const scheme = await read(fos.colorScheme);
  if (changed && (changed.to === scheme.opacity || performance.now() - changed.at > SETTLED_MS)) changed = null;
  const from = changed?.to ?? scheme.opacity;
  const now = Math.round(10 * Math.min(1, Math.max(0, from + change * STEP))) / 10;
  changed = { to: now, at: performance.now() };
  await write(fos.colorScheme, { ...scheme, opacity: now });
  toast(`opacity of maps and masks: ${now.toFixed(1)}`, undefined, "q less, w more");
}

/** Show the strongest region of the open image closely, or the whole image again. */
export async function zoom() {
  const { here, dataset, active } = await look();
  if (!here) return toast("Open an image first: o, or a click.");
  if (!fields.masks.length) await begin();
  const looker = await read(fos.modalLooker);
  if (looker.state.scale > 1) {
    looker.updater({ setZoom: true });
    return toast("the whole image");
  }
  const path = fields.maps.find((name) => active.includes(name));
  const { box } = await send("keys_strongest", dataset, { id: here, detector: path?.slice(0, -"_map".length) });
  if (!box) return toast("No detector has said anything of this image.");
  looker.updater((state) => framed(state, box));
  toast("the strongest region", undefined, "e shows the whole image");
}

/** Scale and offset at which a box, in shares of the image, is in the middle of the window. */
function framed({ windowBBox, mediaBBox }, [left, top, across, down]) {
  const [windowX, windowY, width, height] = windowBBox;
  const [mediaX, mediaY, mediaWidth, mediaHeight] = mediaBBox;
  const fits = Math.min(width / (across * mediaWidth), height / (down * mediaHeight));
  const scale = Math.min(CLOSEST, Math.max(1.5, FRAMED * fits));
  const x = mediaX - windowX + (left + across / 2) * mediaWidth;
  const y = mediaY - windowY + (top + down / 2) * mediaHeight;
  return { scale, pan: [width / 2 - scale * x, height / 2 - scale * y], setZoom: false };
}
