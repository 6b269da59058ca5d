/* The threshold panel of the triage page: what the App loads. Plain scripts, no build; the others are modules beside.
 *
 * Scores come once, sorted; while a line is dragged everything is counted in the page. Only on release is the grid
 * asked to show the images whose outcome would change. A line is set by looking at calibration images: the test
 * part is drawn on request, and then no line can be moved.
 */
(() => {
  "use strict";
  const { React, __fop__: fop } = window;
  const loaded = import(new URL("view.js", document.currentScript.src).href);
  const View = React.lazy(() => loaded.then(({ View }) => ({ default: View })));
  const icon = "M4 20V14h3v6zM9 20V8h3v12zM14 20V4h1.5v16zM18 20v-9h3v9z";

  fop.registerComponent({
    name: "curate_threshold",
    label: "Threshold",
    type: fop.PluginComponentType.Panel,
    activator: () => true,
    Icon: () => React.createElement("svg", { width: 16, height: 16, viewBox: "0 0 24 24", fill: "currentColor" }, React.createElement("path", { d: icon })),
    panelOptions: { surfaces: "grid", helpMarkdown: "Where normal ends: what another threshold would give." },
    component: () => React.createElement(React.Suspense, { fallback: null }, React.createElement(View)),
  });
})();
