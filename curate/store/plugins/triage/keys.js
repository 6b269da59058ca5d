/* Keyboard triage for the FiftyOne App: a plain script, loaded as it is.
 *
 * Letters are chosen so that none is one of the App's own keys for images: it uses j, r, x, z, p, c, f, the
 * arrows, Escape, Shift, + and -. The one key taken from it is "?"; its own help stays on "/".
 */
(() => {
  "use strict";
  const { __foo__: foo, __fos__: fos, __fou__: fou, recoil } = window;
  const PLUGIN = "@curate/triage";
  const STORED_LIMIT_MS = 15000, PAINT_LIMIT_MS = 3000, LOOK_MS = 300;
  const LATE = "the server does not answer. Is curate triage still running?";
  const DECISIONS = {
    n: ["accept_normal", "✓ normal"],
    a: ["mark_anomalous", "! anomalous"],
    u: ["skip", "~ unsure, skipped"],
  };
  const COLOURS = { accept_normal: "#56b4e9", mark_anomalous: "#e69f00", skip: "#c9cdd3", undo: "#c9cdd3" };
  let app = null; // what only React hooks give: `use` runs a function on the App's state
  let types = [], maps = [], masks = []; // names of defect types by number key, and fields
  let walk = null; // { ids, navigation } of the view from which an image was opened
  let given = []; // ids of each decision made with keys here, latest last
  let stale = false; // decisions were made that the grid does not show yet
  let busy = false;
  let wasOpen = false;
  let card = null, note = null, fading = 0; // help, last message, and when that goes
  const hidden = {}; // fields that a toggle took away, to bring the same ones back

  class Hooks extends foo.Operator {
    get config() {
      return new foo.OperatorConfig({ name: "keys_hooks", label: "keys_hooks", unlisted: true, onStartup: true });
    }
    useHooks() {
      const use = recoil.useRecoilCallback((state) => async (run) => run(state), []);
      return { use, update: fos.useUpdateSamples() };
    }
    async execute({ hooks }) {
      app = hooks;
    }
  }

  class Help extends foo.Operator {
    get config() {
      return new foo.OperatorConfig({ name: "keys_help", label: "Show the keys" });
    }
    async execute() {
      await showHelp();
    }
  }
  for (const operator of [Hooks, Help]) foo.registerOperator(operator, PLUGIN);
  foo.executeOperator(`${PLUGIN}/keys_hooks`, {});
  // a note on the first visit whose backdrop would take the first click, and the keys with it
  window.localStorage.setItem("fiftyone-enterprise-tooltip-seen", "true");

  // ---- the App's state and the server

  const plain = (error) => {
    const text = String(error?.message ?? error ?? "");
    return !text || /fetch|network/i.test(text) ? LATE : text;
  };
  const read = (state) => app.use(({ snapshot }) => snapshot.getPromise(state));
  const opened = async () => (await read(fos.modalSelector))?.id;

  /** Ask one of our Python operators; rejects with a text for the person. */
  function ask(operator, params) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(LATE)), STORED_LIMIT_MS);
      foo.executeOperator(`${PLUGIN}/${operator}`, params, {
        skipErrorNotification: true,
        callback: (answer) => {
          clearTimeout(timer);
          const error = answer.result?.error ?? answer.errorMessage ?? answer.error;
          if (error || !answer.result) reject(new Error(plain(error)));
          else resolve(answer.result);
        },
      });
    });
  }

  /** Learn types and fields; a number key keeps its type until the page is loaded anew. */
  async function begin(params = {}) {
    const answer = await ask("keys_begin", params);
    types = [...types, ...answer.defect_types.filter((name) => !types.includes(name))].slice(0, 9);
    ({ maps, masks } = answer);
    return answer;
  }

  /** Make arrows and keys walk through the view as it was when the image was opened. */
  async function follow(id) {
    if (walk && fos.modalNavigation.get() === walk.navigation) return;
    const before = fos.modalNavigation.get();
    const sort = await read(fos.gridSortBy);
    const { ids } = await begin({ walk: true, sort_by: sort?.field, descending: sort?.descending });
    if (fos.modalNavigation.get() !== before) return; // another image was opened meanwhile
    if (!ids.includes(id)) ids.unshift(id); // opened from elsewhere
    const step = async (offset) => {
      const place = ids.indexOf(await opened()) + offset;
      return { id: ids[place], hasNext: place < ids.length - 1, hasPrevious: place > 0 };
    };
    const navigation = { next: (n = 1) => step(n), previous: (n = 1) => step(-n), peek: async () => null };
    walk = { ids, navigation };
    fos.modalNavigation.set(navigation);
  }

  /** Open an image of the walk in place of the open one, and wait until it is painted. */
  async function show(id) {
    const place = walk.ids.indexOf(id);
    const shown = { id, hasNext: place < walk.ids.length - 1, hasPrevious: place > 0 };
    await app.use(({ set }) => set(fos.modalSelector, (old) => ({ ...old, ...shown })));
    const limit = performance.now() + PAINT_LIMIT_MS;
    while (performance.now() < limit) {
      await new Promise(requestAnimationFrame);
      const looker = await read(fos.modalLooker);
      const { config, loaded, overlaysPrepared, error } = looker?.state ?? {};
      if (config?.sampleId === id && ((loaded && overlaysPrepared) || error)) return;
    }
  }

  // ---- what the keys do

  /** Store a decision. An open image makes way for the next at once; it comes back if storing fails. */
  async function decide(operator, said, defect_type) {
    const start = performance.now();
    const here = await opened();
    const ids = here ? [here] : [...(await read(fos.selectedSamples)).keys()];
    if (!ids.length) return toast("Tick images first, or open one.", COLOURS.skip);
    if (here) await follow(here); // first: a decided image may leave the view, and its place with it
    const before = here && (await read(fos.modalSample)).sample;
    const next = here && walk?.ids[walk.ids.indexOf(here) + 1];
    const sent = stored({ operator, ids, defect_type }, await read(fos.datasetName)); // before the work of painting
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
    toast(`${said}: ${named(samples)}`, COLOURS[operator], here && !next ? "the last of this view" : "b takes it back");
    if (!here) return renew();
    await moved;
    if (next) performance.measure("curate-painted", { start });
    refreshed(before, samples);
  }

  /** Past the App's queue of operators, which waits for a repaint before it sends anything. */
  async function stored(decision, dataset_name) {
    const body = { operator_uri: `${PLUGIN}/keys_decide`, dataset_name, params: decision, view: [] };
    const sent = fou.getFetchFunction()("POST", "/operators/execute", body);
    const late = new Promise((_, reject) => setTimeout(() => reject(new Error(LATE)), STORED_LIMIT_MS));
    const { result, error } = await Promise.race([sent, late]).catch((reason) => {
      throw new Error(plain(reason));
    });
    if (error || !result || result.error) throw new Error(plain(result?.error ?? error));
    const { n_verdicts, samples } = result;
    if (!n_verdicts && decision.operator !== "undo") {
      throw new Error("the database does not know these images. Load the page anew.");
    }
    stale = stale || n_verdicts > 0;
    return samples;
  }

  async function undo() {
    const here = await opened();
    const ticked = here ? [] : [...(await read(fos.selectedSamples)).keys()];
    const ids = ticked.length ? ticked : given.at(-1) ?? [];
    if (here) await follow(here);
    const samples = await stored({ operator: "undo", ids }, await read(fos.datasetName));
    if (!ticked.length) given.pop();
    if (!samples.length) return toast("Nothing to take back.", COLOURS.undo);
    toast(`↶ taken back: ${named(samples)}`, COLOURS.undo);
    if (!here) return renew();
    const back = samples.length === 1 && samples[0]._id;
    if (walk?.ids.includes(back)) await show(back);
    refreshed((await read(fos.modalSample)).sample, samples);
  }

  /** Give the open image's document its new fields; the sidebar reads them. */
  function refreshed(sample, samples) {
    const changed = samples.find(({ _id }) => _id === sample?._id);
    if (changed) app.update([[changed._id, { ...sample, ...changed }]]);
  }

  /** Load the grid and its counts anew; the App does it at once for the grid and for views. */
  function renew() {
    stale = false;
    foo.executeOperator("clear_selected_samples", {});
    foo.executeOperator("reload_dataset", {});
  }

  async function toggle(kind, paths) {
    if (!maps.length && !masks.length) await begin();
    const known = paths();
    if (!known.length) return toast(`There is no ${kind} in this dataset.`, COLOURS.skip);
    const state = fos.activeFields({ modal: Boolean(await opened()) });
    const active = await read(state);
    const on = known.filter((path) => active.includes(path));
    const back = on.length ? [] : hidden[kind] ?? known.slice(0, 1);
    if (on.length) hidden[kind] = on;
    const rest = active.filter((path) => !on.includes(path));
    await app.use(({ set }) => set(state, [...rest, ...back]));
    toast(`${kind} ${on.length ? "off" : `on: ${back.join(", ")}`}`, COLOURS.skip);
  }

  async function step(forward) {
    const here = await opened();
    const next = walk?.ids[walk.ids.indexOf(here) + (forward ? 1 : -1)];
    if (next) await show(next);
    else toast(forward ? "This is the last image of the view." : "This is the first image of the view.", COLOURS.skip);
  }

  /** Open the ticked image, or the first one of the grid. */
  async function open() {
    const [ticked] = (await read(fos.selectedSamples)).keys();
    const sort = await read(fos.gridSortBy);
    const { ids } = await begin({ walk: true, sort_by: sort?.field, descending: sort?.descending });
    const id = ids.includes(ticked) ? ticked : ids[0];
    if (id) foo.executeOperator("open_sample", { id });
  }

  function meaning({ key }) {
    if (DECISIONS[key]) return () => decide(...DECISIONS[key]);
    if (/^[1-9]$/.test(key)) {
      return async () => {
        if (!types.length) await begin();
        const name = types[key - 1];
        if (name) return decide("mark_anomalous", `! anomalous, ${name}`, name);
        toast(`No defect type has the key ${key}. Press ? for the list.`, COLOURS.skip);
      };
    }
    const others = {
      b: undo,
      m: () => toggle("anomaly map", () => maps),
      g: () => toggle("ground-truth mask", () => masks),
      ArrowRight: () => step(true),
      ArrowLeft: () => step(false),
      o: open,
      "?": showHelp,
    };
    return others[key];
  }

  // ---- when they act

  const isOpen = () => document.querySelector("[data-cy=modal]") !== null;
  const walking = () => walk !== null && fos.modalNavigation.get() === walk.navigation;

  /** Whether someone is writing, or a form, a list or the annotation tools have the keyboard. */
  function occupied(event) {
    const at = event.composedPath()[0];
    if (at?.closest?.("input, textarea, select, [role=textbox], [role=listbox], [role=menu]")) return true;
    if (at?.isContentEditable || event.isComposing) return true;
    const dialogs = document.querySelectorAll("[role=dialog], [role=listbox], [role=menu]");
    if ([...dialogs].some((one) => one !== card && one.offsetParent !== null)) return true;
    return isOpen() && localStorage.getItem("k_modalMode")?.includes("annotate"); // it has keys of its own
  }

  async function pressed(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !app || occupied(event)) return;
    const { key } = event;
    if (card && key === "Escape") return take(event, closeHelp);
    const run = meaning(event);
    const arrow = key === "ArrowRight" || key === "ArrowLeft";
    if (!run || (arrow && !(isOpen() && walking())) || (key === "o" && isOpen())) return;
    if (card && key !== "?") return;
    take(event, async () => {
      if (event.repeat && !arrow) return;
      if (busy && !arrow) toast("Not taken: the key before it is still at work.", COLOURS.skip);
      if (busy) return;
      busy = true;
      try {
        await run();
      } catch (error) {
        toast(`✗ ${error.message ?? error}`, "#ff8a5c", "", true);
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

  window.curateIdle = () => !busy; // for scripts that press the keys
  window.addEventListener("keydown", pressed, true);
  setInterval(async () => {
    const open = isOpen();
    if (app && open && !wasOpen && !busy) opened().then((id) => id && follow(id)).catch(() => {});
    if (wasOpen && !open && stale) renew();
    wasOpen = open;
  }, LOOK_MS);

  // ---- what the person sees

  const named = (samples) =>
    samples.length === 1 ? samples[0].relative_path.split("/").slice(-2).join("/") : `${samples.length} images`;

  function element(tag, style, text = "") {
    const made = document.createElement(tag);
    made.style.cssText = style;
    made.textContent = text;
    return made;
  }

  /** One line in the margin below the image; an error stays until the next, above the App's own message. */
  function toast(text, colour, hint = "", stays = false) {
    note?.remove();
    clearTimeout(fading);
    note = element(
      "div",
      `position:fixed;left:50%;bottom:${stays ? 76 : 4}px;transform:translateX(-50%);z-index:2147483000;max-width:80vw;` +
        "box-sizing:border-box;padding:3px 12px;border-radius:4px;background:#16181c;color:#f5f6f7;" +
        `border-left:6px solid ${colour};font:14px/20px sans-serif;pointer-events:none;` +
        "white-space:nowrap;overflow:hidden;text-overflow:ellipsis;box-shadow:0 0 0 1px #4b5563",
      text
    );
    note.id = "curate-toast";
    note.setAttribute("role", stays ? "alert" : "status");
    if (hint) note.append(element("span", "color:#aab1bb;margin-left:12px", hint));
    document.body.append(note);
    if (!stays) fading = setTimeout(() => note.remove(), 4000);
  }

  function closeHelp() {
    card?.remove();
    card = null;
  }

  async function showHelp() {
    if (card) return closeHelp();
    await begin();
    const rows = [
      ["→  ←", "next, previous image (when one is open)"],
      ["o", "open the ticked image, or the first one"],
      ["n", "normal"],
      ["a", "anomalous; the source's defect types stay"],
      ...types.map((name, index) => [String(index + 1), `anomalous, ${name}`]),
      ["u", "unsure: skip, the label stays"],
      ["b", "take back the last decision"],
      ["m", "anomaly map on or off"],
      ["g", "ground-truth mask on or off"],
      ["?", "this card; Escape closes it"],
    ];
    card = element(
      "div",
      "position:fixed;left:50%;top:50%;transform:translate(-50%,-50%);z-index:2147483001;max-height:90vh;" +
        "overflow:auto;padding:16px 24px;border-radius:8px;background:#16181c;color:#f5f6f7;" +
        "font:14px/22px sans-serif;box-shadow:0 0 0 1px #4b5563,0 8px 40px #000"
    );
    card.id = "curate-help";
    card.setAttribute("role", "dialog");
    card.setAttribute("aria-label", "Keys");
    const list = element("dl", "display:grid;grid-template-columns:auto 1fr;gap:2px 16px;margin:8px 0");
    for (const [key, text] of rows) {
      list.append(element("dt", "font:bold 14px/22px monospace;text-align:right;color:#56b4e9", key));
      list.append(element("dd", "margin:0", text));
    }
    card.append(element("div", "font-weight:bold", "Keys"), list);
    card.append(element("div", "color:#aab1bb", "They act on the open image, else on the ticked ones; never while you write."));
    document.body.append(card);
  }
})();
