/* Where on the part the defects of a category lie: what the App loads. Modules beside do the rest. */
(() => {
  "use strict";
  const { React, __fop__: fop } = window;
  const loaded = import(new URL("view.js", document.currentScript.src).href);
  const View = React.lazy(() => loaded.then(({ View }) => ({ default: View })));

  fop.registerComponent({
    name: "density_panel",
    label: "Where defects lie",
    type: fop.PluginComponentType.Panel,
    activator: () => true,
    panelOptions: { surfaces: "grid modal", helpMarkdown: "How many images mark something in each cell of the part." },
    component: () => React.createElement(React.Suspense, { fallback: null }, React.createElement(View)),
  });
})();
