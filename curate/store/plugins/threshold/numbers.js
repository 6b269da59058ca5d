// Scores and lines as numbers: what lies where, what a line gives, whose outcome another one changes.

export const ALL = "\u0000all"; // every category
export const LABELS = ["normal", "anomalous", "unknown"];

const unpack = (text, Kind) => new Kind(Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0)).buffer);
export const plain = (value) => (Number.isFinite(value) ? String(Number(value.toPrecision(4))) : "none");
export const rounded = (value) => Number(value.toPrecision(6));

export function unpacked(part) {
  return {
    scores: unpack(part.scores, Float64Array),
    labels: unpack(part.labels, Uint8Array),
    categories: unpack(part.categories, Uint16Array),
    lots: unpack(part.lots, Uint16Array),
  };
}

/** Scores of some images by label, ascending as they came. */
export function byLabel(part, keep) {
  const found = { normal: [], anomalous: [], unknown: [] };
  for (let i = 0; i < part.scores.length; i++) if (keep(i)) found[LABELS[part.labels[i]]].push(part.scores[i]);
  return found;
}

/** How many of ascending scores lie below a value. */
export function below(scores, value) {
  let [low, high] = [0, scores.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (scores[middle] < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** A line of the server as numbers: a score at or above `at` is anomalous, from `from` on a person looks. */
export function cut(line) {
  const at = line.threshold ?? Infinity;
  return { at, from: line.review_from === "open" ? -Infinity : line.review_from ?? at };
}

export function count(scores, line) {
  const { normal, anomalous, unknown } = scores;
  const banded = (of) => below(of, line.at) - below(of, line.from);
  return {
    alarms: normal.length - below(normal, line.at),
    missed: below(anomalous, line.from),
    review: banded(normal) + banded(anomalous),
    unknown: unknown.length - below(unknown, line.at),
  };
}

/** Ranges [from, to) of scores whose outcome differs between two lines. */
export function differing(one, other) {
  const outcome = (score, line) => (score >= line.at ? 2 : score >= line.from ? 1 : 0);
  const edges = [...new Set([one.at, one.from, other.at, other.from])].sort((a, b) => a - b);
  const starts = edges[0] === -Infinity ? edges : [-Infinity, ...edges];
  return starts
    .map((from, i) => [from, starts[i + 1] ?? Infinity])
    .filter(([from]) => outcome(from, one) !== outcome(from, other));
}

/** Rows of the histogram: one for each label, lot or category. */
export function rowsOf(data, part, category, by) {
  const at = data.categories.indexOf(category);
  const inside = (i) => category === ALL || part.categories[i] === at;
  if (category !== ALL && by === "label") {
    const found = byLabel(part, inside);
    return LABELS.filter((label) => found[label].length).map((label) => ({
      name: label, scores: { normal: [], anomalous: [], unknown: [], [label]: found[label] },
    }));
  }
  const [names, codes] = category === ALL ? [data.categories, part.categories] : [[...data.lots, "no lot"], part.lots];
  return names
    .map((name, code) => ({ name, scores: byLabel(part, (i) => inside(i) && codes[i] === code) }))
    .map((row) => ({ ...row, n: LABELS.reduce((sum, label) => sum + row.scores[label].length, 0) }))
    .filter(({ n }) => n)
    .sort((a, b) => (category === ALL ? 0 : b.n - a.n));
}

/** From the lowest score to where little follows but single high ones; those are counted in the last bin. */
export function rangeOf(rows, lines) {
  let [low, high, far] = [Infinity, -Infinity, -Infinity];
  for (const { scores } of rows) {
    for (const label of LABELS) {
      const of = scores[label];
      if (!of.length) continue;
      low = Math.min(low, of[0]);
      high = Math.max(high, label === "normal" ? of[of.length - 1] : of[Math.floor((of.length - 1) * 0.9)]);
      far = Math.max(far, of[of.length - 1]);
    }
  }
  for (const { at, from } of lines) {
    for (const value of [at, from]) {
      if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
  }
  if (!(high > low)) [low, high] = [low - 0.5, low + 0.5];
  const edge = (high - low) * 0.04;
  return { low: low - edge, high: Math.min(high + edge, Math.max(far, high) + edge), clipped: far > high + edge };
}

/** A line with one of its ends moved; the band stays in order. */
export function moved(line, which, value) {
  if (which === "from") return { at: line.at, from: Math.min(value, line.at) };
  const banded = line.from < line.at;
  return { at: value, from: banded ? Math.min(line.from, value) : value };
}

/** How many images have a score in one of the ranges. */
export const within = (scores, ranges) =>
  LABELS.reduce((sum, label) => ranges.reduce((n, [from, to]) => n + below(scores[label], to) - below(scores[label], from), sum), 0);
