/* The triage panel: what the App loads. A plain script, no build; the panel itself is a module beside. */
(() => {
  "use strict";
  const { React, __fop__: fop } = window;
  const loaded = import(new URL("view.js", document.currentScript.src).href);
  const View = React.lazy(() => loaded.then(({ View }) => ({ default: View })));
  const icon = "M9 16.2 4.8 12l-1.4 1.4L9 19 21 7l-1.4-1.4z";

  fop.registerComponent({
    name: "curate_triage",
    label: "Triage",
    type: fop.PluginComponentType.Panel,
    activator: () => true,
    Icon: () => React.createElement("svg", { width: 16, height: 16, viewBox: "0 0 24 24", fill: "currentColor" }, React.createElement("path", { d: icon })),
    panelOptions: { surfaces: "grid", helpMarkdown: "How much is decided, what is to be done, and what you decided last." },
    component: () => React.createElement(React.Suspense, { fallback: null }, React.createElement(View)),
  });
})();
