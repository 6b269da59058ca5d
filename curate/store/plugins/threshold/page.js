// The scores, and the grid: which images it shows.

import { ask } from "../common/server.js";
import { unpacked } from "./numbers.js";

const { __foo__: foo } = window;
const OURS = "curate-would-change";

export async function load(name, detector) {
  const data = await ask("@curate/threshold/threshold_scores", name, { detector });
  for (const part of Object.keys(data.parts)) data.parts[part] = unpacked(data.parts[part]);
  return data;
}

function stages(data, category, ranges) {
  const within = ranges.map(([from, to]) => ({
    [data.field]: { ...(from > -Infinity && { $gte: from }), ...(to < Infinity && { $lt: to }), $ne: null },
  }));
  const filter = { category, assigned_split: "calibration", $or: within };
  if (data.left_out.length) filter.sample_id = { $nin: data.left_out };
  return [
    { _cls: "fiftyone.core.stages.Match", kwargs: [["filter", filter]], _uuid: OURS },
    { _cls: "fiftyone.core.stages.SortBy", kwargs: [["field_or_expr", data.field], ["reverse", true], ["create_index", false]], _uuid: `${OURS}-order` },
  ];
}

/** Whether the grid shows what this panel asked for. */
export const isOurs = (view) => (view ?? []).some(({ _uuid }) => _uuid === OURS);

/** Show the calibration images of a category whose outcome differs between two lines, highest score first. */
export const show = (data, category, ranges) =>
  foo.executeOperator("set_view", { view: stages(data, category, ranges) });

/** Show again what was shown before. */
export function back({ name, view }) {
  if (name) foo.executeOperator("set_view", { name });
  else if (view?.length) foo.executeOperator("set_view", { view });
  else foo.executeOperator("clear_view", {});
}

/** Load grid, counts and views anew, after the server changed them. */
export const renew = () => foo.executeOperator("reload_dataset", {});
