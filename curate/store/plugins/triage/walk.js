// The order in which images come: the view as it was when an image was opened.

import { prepare } from "./ahead.js";
import { askWithView, isOpen, look, painted, read, update, write } from "./page.js";
import { toast } from "./told.js";
import { begun, ended } from "./watch.js";

const { __foo__: foo, __fos__: fos } = window;
export const fields = { types: [], maps: [], masks: [], proposals: [] }; // types by number key
let walk = null; // { ids, navigation }
let stale = false; // decisions were made that the grid does not show yet

export const decided = () => (stale = true);
export const isStale = () => stale;
export const following = () => walk !== null && fos.modalNavigation.get() === walk.navigation;
export const after = (id) => walk?.ids[walk.ids.indexOf(id) + 1];

/** Learn types and fields; a number key keeps its type until the page is loaded anew. */
export async function begin(params = {}) {
  const { defect_types, ids, ...paths } = await askWithView("keys_begin", params);
  fields.types = [...fields.types, ...defect_types.filter((name) => !fields.types.includes(name))].slice(0, 9);
  Object.assign(fields, paths);
  return ids;
}

async function viewed() {
  const sort = await read(fos.gridSortBy);
  return begin({ walk: true, sort_by: sort?.field, descending: sort?.descending });
}

/** Make arrows and keys walk through the view as it was when the image was opened. */
export async function follow(id, known = null) {
  if (following()) return;
  const before = fos.modalNavigation.get();
  const ids = known ?? (await viewed());
  if (fos.modalNavigation.get() !== before) return; // another image was opened meanwhile
  if (!ids.includes(id)) ids.unshift(id); // opened from elsewhere
  const step = async (offset) => {
    const { here } = await look();
    const place = ids.indexOf(here) + offset;
    seen(ids[place]);
    return { id: ids[place], hasNext: place < ids.length - 1, hasPrevious: place > 0 };
  };
  const navigation = { next: (n = 1) => step(n), previous: (n = 1) => step(-n), peek: async () => null };
  walk = { ids, navigation };
  fos.modalNavigation.set(navigation);
}

/** An image was opened with a click: time begins with its painting, whatever the walk takes to be known. */
export async function opened() {
  const { here } = await look();
  if (!here) return;
  painted(here).then((looker) => looker && begun(here));
  await follow(here);
  await seen(here);
}

/** Once an image is painted the time on it begins, and those after it are fetched. */
async function seen(id) {
  if (!id || !(await painted(id))) return;
  begun(id);
  const { active } = await look();
  const next = after(id);
  await prepare(next, active);
  await prepare(after(next), active);
}

/** Open an image of the walk in place of the open one, and wait until it is painted. */
export async function show(id) {
  const place = walk.ids.indexOf(id);
  const shown = { id, hasNext: place < walk.ids.length - 1, hasPrevious: place > 0 };
  ended();
  await write(fos.modalSelector, (old) => ({ ...old, ...shown }));
  await painted(id);
  begun(id);
  setTimeout(() => seen(id)); // not before the caller has taken the time
}

export async function step(forward) {
  const { here } = await look();
  const next = walk?.ids[walk.ids.indexOf(here) + (forward ? 1 : -1)];
  if (next) await show(next);
  else toast(`This is the ${forward ? "last" : "first"} image of the view.`);
}

/** Open the ticked image, or the first one of the grid. */
export async function open() {
  const { ticked } = await look();
  const ids = await viewed();
  const id = ids.includes(ticked[0]) ? ticked[0] : ids[0];
  if (!id) return;
  foo.executeOperator("open_sample", { id });
  if (await painted(id)) begun(id);
  if (isOpen()) await follow(id, ids);
}

/** Go back to an image of the walk, if it is one. */
export async function back(id) {
  if (walk?.ids.includes(id)) await show(id);
}

/** Give the open image's document its new fields; the sidebar reads them. */
export function refreshed(sample, samples) {
  const changed = samples.find(({ _id }) => _id === sample?._id);
  if (changed) update([[changed._id, { ...sample, ...changed }]]);
}

/** Load the grid and its counts anew; the App does it at once for the grid and for views. */
export function renew() {
  stale = false;
  foo.executeOperator("clear_selected_samples", {});
  foo.executeOperator("reload_dataset", {});
}
