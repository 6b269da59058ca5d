// The App's state, and our operators. Whatever depends on how the App is built inside is in this file and in ahead.js.

import { ask, late, words } from "../common/server.js";

const { __foo__: foo, __fos__: fos } = window;
const PLUGIN = "@curate/triage";
const ANSWER_LIMIT_MS = 15000, PAINT_LIMIT_MS = 10000;
let hooks = null; // what only React hooks give: `use` runs a function on the App's state

export const start = (given) => (hooks = given);
export const started = () => hooks !== null;
export const isOpen = () => document.querySelector("[data-cy=modal]") !== null;
export const use = (run) => hooks.use(run);

/** Whether opened images are in Annotate mode, which the App keeps under the name that the address has. */
export function isAnnotating() {
  const [, name] = /\/datasets\/([^/?]+)/.exec(location.pathname) ?? [];
  return Boolean(name && localStorage.getItem(`${decodeURIComponent(name)}_modalMode`)?.includes("annotate"));
}

export const close = () => foo.executeOperator("close_sample", {});
export const update = (samples) => hooks.update(samples);
export const write = (state, value) => use(({ set }) => set(state, value));
export const read = (state) => use(({ snapshot }) => snapshot.getPromise(state));

/** What keys need of the state, in one look: each look at a changed state costs the App a copy of it. */
export const look = () =>
  use(({ snapshot }) => {
    const now = (state) => snapshot.getLoadable(state).valueMaybe();
    const here = now(fos.modalSelector)?.id;
    return {
      here,
      ticked: [...(now(fos.selectedSamples)?.keys() ?? [])],
      dataset: now(fos.datasetName),
      sample: here && now(fos.modalSample)?.sample,
      active: now(fos.activeFields({ modal: Boolean(here) })) ?? [],
    };
  });

/** Ask one of our Python operators that needs the view; rejects with a text for the person. */
export function askWithView(operator, params) {
  const answered = new Promise((resolve, reject) => {
    foo.executeOperator(`${PLUGIN}/${operator}`, params, {
      skipErrorNotification: true,
      callback: (answer) => {
        const error = answer.result?.error ?? answer.errorMessage ?? answer.error;
        if (error || !answer.result) reject(new Error(words(error)));
        else resolve(answer.result);
      },
    });
  });
  return Promise.race([answered, late(ANSWER_LIMIT_MS)]);
}

/** Ask one that needs none, at once. */
export const send = (operator, dataset_name, params) =>
  ask(`${PLUGIN}/${operator}`, dataset_name, params, ANSWER_LIMIT_MS);

/** Have the App copy masks to its workers. It hands them over, and fails if it has to draw before they are back
 * ("detached ArrayBuffer"), which is what happens when masks are switched on and off. */
function copying(looker) {
  let type = looker;
  while (type && !Object.hasOwn(type, "loadSample")) type = Object.getPrototypeOf(type);
  if (!type || type.curateCopies) return;
  const load = type.loadSample;
  type.loadSample = function (sample) {
    return load.call(this, sample, []);
  };
  type.curateCopies = true;
}

/** The open image's looker once it is painted; null when that takes too long, or when it is closed before. */
export async function painted(id) {
  const limit = performance.now() + PAINT_LIMIT_MS;
  let looker = null, wasOpen = false;
  while (performance.now() < limit && !(wasOpen && !isOpen())) {
    await new Promise(requestAnimationFrame);
    wasOpen ||= isOpen();
    if (looker?.state?.config?.sampleId !== id) looker = await read(fos.modalLooker);
    const { config, loaded, overlaysPrepared, error } = looker?.state ?? {};
    if (config?.sampleId === id && ((loaded && overlaysPrepared) || error)) {
      copying(looker);
      return looker;
    }
  }
  return null;
}
