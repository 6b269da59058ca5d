// Where on the part the defects of a category lie: what is counted, and the images of a cell.

import { CONTROL, ERROR, MUTED, panel } from "../common/look.js";
import { useRoom } from "../common/room.js";
import { ask } from "../common/server.js";
import { Legend, Picture, plural } from "./picture.js";

const { React, recoil, __foo__: foo, __fos__: fos } = window;
const { createElement: h, useEffect, useState } = React;
const NOTHING = {
  truth: "No anomalous image of this category has a mask or a box. Accept proposals, or draw masks, and they count.",
  proposals: "No image of this category has proposals.",
  alarms: "No false alarm: no normal image of this category is at or above the threshold.",
};
const WHICH = { truth: "anomalous images", proposals: "images with proposals", alarms: "false alarms: normal, but at or above the threshold" };
const control = { ...CONTROL, maxWidth: 260 };

const chooser = (label, value, options, set) =>
  h("label", { style: { display: "flex", gap: 6, alignItems: "center", color: MUTED } }, label,
    h("select", { "aria-label": label, value, onChange: (event) => set(event.target.value), style: control },
      options.map(([key, text]) => h("option", { key, value: key }, text))));

/** Answers of the server: again and again while it has masks left to read. */
function useCounts(name, image, asked, again) {
  const [answer, setAnswer] = useState({});
  useEffect(() => {
    let wanted = true;
    (async () => {
      try {
        let data = null;
        do {
          data = await ask("@curate/density/density_look", name, { ...asked, image });
          if (wanted) setAnswer({ data });
        } while (wanted && data.n_left > 0);
      } catch (error) {
        if (wanted) setAnswer((old) => ({ ...old, error: error.message }));
      }
    })();
    return () => (wanted = false);
  }, [name, asked.category ?? image, asked.category, asked.source, asked.defect_type, again]);
  return answer;
}

/** What the picture counts, in words. */
function summary(data, kind) {
  const { n_images, n_marked, n_unmarked, n_left } = data;
  if (n_left) return `Reading masks: ${n_images - n_left} of ${n_images}`;
  const rest = n_unmarked ? `; ${n_unmarked} of them tell no place` : "";
  return `${n_marked} of ${n_images} ${WHICH[kind]}${rest}`;
}

export function View() {
  const name = recoil.useRecoilValue(fos.datasetName), modal = recoil.useRecoilValue(fos.modalSelector);
  const [asked, setAsked] = useState({}), [again, setAgain] = useState(0);
  const [here, setHere] = useState(null), [said, setSaid] = useState(null);
  const [at, [width, height]] = useRoom();
  const { data, error } = useCounts(name, modal?.id, asked, again);
  const change = (changed) => { setAsked((old) => ({ ...old, ...changed })); setSaid(null); };
  const root = { ...panel(modal?.id), gap: 8 };
  if (!data) return h("div", { id: "curate-density", style: { ...root, color: error ? ERROR : MUTED } }, error ? `✗ ${error}` : "Looking…");
  const kind = data.source.split(":")[0];
  const highest = Math.max(0, ...data.cells.flat());
  async function pick(cells) {
    if (!cells.length) return setSaid("Nothing is marked there.");
    try {
      const { ids } = await ask("@curate/density/density_images", name, { ...asked, category: data.category, source: data.source, cells });
      setSaid(`The grid shows the ${plural(ids.length, "image")} of ${plural(cells.length, "cell")}.`);
      foo.executeOperator("show_samples", { samples: ids });
    } catch (failure) {
      setSaid(`✗ ${failure.message}`);
    }
  }
  const everything = () => { foo.executeOperator("show_samples", { samples: null }); setSaid(null); };
  const hint = here ? `${plural(data.cells[here[0]][here[1]], "image")} of ${data.n_marked} in this cell` : said ?? "Click a cell, or drag over several, to see their images in the grid.";
  const types = [["", "all defect types"], ...data.types.map(([each, n]) => [each, `${each} (${n})`])];
  return h("div", { id: "curate-density", "data-left": data.n_left, style: root },
    h("div", { role: "toolbar", style: { display: "flex", gap: 14, flexWrap: "wrap", alignItems: "center", flex: "none", font: "13px sans-serif" } },
      data.categories.length > 1 && chooser("Category", data.category, data.categories.map((each) => [each, each]), (category) => change({ category, defect_type: "" })),
      chooser("Count", data.source, data.sources.map((each) => [each.source, each.said]), (source) => change({ source, category: data.category, defect_type: "" })),
      types.length > 1 && chooser("Type", asked.defect_type ?? "", types, (defect_type) => change({ defect_type, category: data.category })),
      h("button", { type: "button", style: control, onClick: () => setAgain((old) => old + 1) }, "refresh")),
    h("div", { role: "status", style: { flex: "none" } }, error ? h("span", { style: { color: ERROR } }, `✗ ${error}`) : h(React.Fragment, null, h("b", null, data.category), `: ${summary(data, kind)}`)),
    h("div", { ref: at, style: { flex: "1 1 0", minHeight: 160 } },
      highest === 0 && !data.n_left
        ? h("div", { style: { color: MUTED } }, NOTHING[kind])
        : width > 0 && h(Picture, { data, width, height, highest, tell: setHere, pick })),
    highest > 0 && h("div", { style: { display: "flex", gap: 16, flexWrap: "wrap", alignItems: "center", flex: "none", font: "13px/20px sans-serif" } },
      h(Legend, { colours: data.colours, highest }), h("span", { style: { color: MUTED } }, hint),
      said && h("button", { type: "button", style: control, onClick: everything }, "all images again")));
}
