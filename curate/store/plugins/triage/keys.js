/* Keyboard triage for the FiftyOne App: what the App loads. Plain scripts, no build; the others are modules beside.
 *
 * Operators are registered here and at once, for the App looks for them as soon as this script is loaded.
 */
(() => {
  "use strict";
  const { __foo__: foo, __fos__: fos, recoil } = window;
  const PLUGIN = "@curate/triage";
  const loaded = import(new URL("press.js", document.currentScript.src).href);

  class Hooks extends foo.Operator {
    get config() {
      return new foo.OperatorConfig({ name: "keys_hooks", label: "keys_hooks", unlisted: true, onStartup: true });
    }
    useHooks() {
      const use = recoil.useRecoilCallback((state) => async (run) => run(state), []);
      return { use, update: fos.useUpdateSamples() };
    }
    async execute({ hooks }) {
      (await loaded).start(hooks);
    }
  }

  class Help extends foo.Operator {
    get config() {
      return new foo.OperatorConfig({ name: "keys_help", label: "Show the keys" });
    }
    async execute() {
      await (await loaded).showHelp();
    }
  }

  for (const operator of [Hooks, Help]) foo.registerOperator(operator, PLUGIN);
  foo.executeOperator(`${PLUGIN}/keys_hooks`, {});
  // a note on the first visit whose backdrop would take the first click, and the keys with it
  window.localStorage.setItem("fiftyone-enterprise-tooltip-seen", "true");
})();
