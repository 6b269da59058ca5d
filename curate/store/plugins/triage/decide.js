// Decisions: sent at once, while the next image is already on its way.

import { look, send } from "./page.js";
import { COLOURS, named, toast } from "./told.js";
import { after, back, begin, decided, fields, follow, refreshed, renew, show } from "./walk.js";
import { ended, seconds } from "./watch.js";

const { __fos__: fos } = window;
const given = []; // ids of each decision made with keys here, latest last
const NO_MASK = "No mask is proposed for this image.";

/** Whose map, or whose proposals, are on the images. */
function detector(active) {
  for (const [paths, ending] of [[fields.maps, "_map"], [fields.proposals, "_proposals"]]) {
    const path = paths.find((name) => active.includes(name));
    if (path) return path.slice(0, -ending.length);
  }
  return undefined;
}

async function store(decision, dataset) {
  const { n_verdicts, samples } = await send("keys_decide", dataset, decision);
  if (!n_verdicts && decision.operator !== "undo") {
    throw new Error("the database does not know these images. Load the page anew.");
  }
  if (n_verdicts) decided();
  return samples;
}

/** Store a decision. An open image makes way for the next at once; it comes back if storing fails. */
export async function decide(operator, said, defect_type) {
  const start = performance.now();
  const { here, ticked, dataset, sample, active } = await look();
  const ids = here ? [here] : ticked;
  if (!ids.length) return toast("Tick images first, or open one.");
  const looked = { place: here ? "image" : "grid", detector: detector(active), seconds: here ? seconds(here) : null };
  if (here) await follow(here); // first: a decided image may leave the view, and its place with it
  const next = here && after(here);
  const sent = store({ operator, ids, defect_type, ...looked }, dataset); // before the work of painting
  ended();
  const moved = next ? show(next) : null;
  let samples;
  try {
    samples = await sent;
    performance.measure("curate-stored", { start });
  } catch (error) {
    await moved;
    if (next) await show(here);
    throw new Error(`Not stored: ${error.message}`);
  }
  given.push(ids);
  const left = ids.length - samples.length;
  const hint = left ? `${left} without a proposed mask left` : here && !next ? "the last of this view" : "b takes it back";
  toast(`${said}: ${named(samples)}`, COLOURS[operator], hint);
  if (!here) return renew();
  await moved;
  if (next) performance.measure("curate-painted", { start });
  refreshed(sample, samples);
}

/** A decision on the proposed mask; without one nothing happens, and nothing moves. */
export async function decideMask(operator, said, defect_type) {
  if (!fields.masks.length) await begin();
  const { here, sample, active } = await look();
  const own = detector(active);
  const field = fields.proposals.find((name) => name === `${own}_proposals`) ?? fields.proposals[0];
  if (here && !sample?.[field]?.detections?.length) return toast(NO_MASK);
  return decide(operator, said, defect_type);
}

export async function undo() {
  const { here, ticked, dataset } = await look();
  const chosen = here ? [] : ticked;
  const ids = chosen.length ? chosen : given.at(-1) ?? [];
  if (here) await follow(here);
  const samples = await store({ operator: "undo", ids, place: here ? "image" : "grid" }, dataset);
  if (!chosen.length) given.pop();
  if (!samples.length) return toast("Nothing to take back.");
  toast(`↶ taken back: ${named(samples)}`);
  if (!here) return renew();
  if (samples.length === 1) await back(samples[0]._id);
  refreshed((await look()).sample, samples);
}
