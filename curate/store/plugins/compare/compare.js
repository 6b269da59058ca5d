/* An image beside its maps, its template and its nearest normal images: what the App loads. Modules beside do the rest. */
(() => {
  "use strict";
  const { React, __fop__: fop } = window;
  const loaded = import(new URL("view.js", document.currentScript.src).href);
  const View = React.lazy(() => loaded.then(({ View }) => ({ default: View })));

  fop.registerComponent({
    name: "compare_panel",
    label: "Side by side",
    type: fop.PluginComponentType.Panel,
    activator: () => true,
    panelOptions: { surfaces: "grid modal", helpMarkdown: "Anomaly maps, template and nearest normal images of one image." },
    component: () => React.createElement(React.Suspense, { fallback: null }, React.createElement(View)),
  });
})();
