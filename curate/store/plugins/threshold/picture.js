// The histogram: a row for each label, lot or category, with the lines in their words.

import { ANOMALOUS, NEUTRAL, NORMAL } from "../common/look.js";
import { LABELS, plain } from "./numbers.js";

export const COLOURS = { normal: NORMAL, anomalous: ANOMALOUS, unknown: NEUTRAL };
export const ROWS = 6, SIDE = 8; // rows at most; pixels at the sides
const BINS = 64;
const ROW = 50, TOP = 32, FOOT = 18; // pixels: a row, room for the lines' words, for the axis

function histogram(scores, { low, high }) {
  const bins = new Float64Array(BINS);
  for (const score of scores) bins[Math.max(0, Math.min(BINS - 1, Math.floor(((score - low) / (high - low)) * BINS)))]++;
  return bins;
}

export function draw(canvas, width, rows, range, lines) {
  const height = TOP + rows.length * ROW + FOOT, ratio = window.devicePixelRatio || 1;
  Object.assign(canvas, { width: width * ratio, height: height * ratio });
  Object.assign(canvas.style, { width: `${width}px`, height: `${height}px` });
  const to = canvas.getContext("2d");
  to.scale(ratio, ratio);
  to.font = "12px sans-serif";
  const x = (score) => SIDE + ((Math.max(range.low, Math.min(range.high, score)) - range.low) / (range.high - range.low)) * (width - 2 * SIDE);
  rows.forEach((row, index) => drawRow(to, row, TOP + index * ROW, width, range, x));
  to.fillStyle = "#aab1bb";
  to.fillText(plain(range.low), SIDE, height - 4);
  const end = `${range.clipped ? "≥ " : ""}${plain(range.high)}`;
  to.fillText(end, width - SIDE - to.measureText(end).width, height - 4);
  const middle = "anomaly score";
  to.fillText(middle, (width - to.measureText(middle).width) / 2, height - 4);
  for (const line of lines) drawLine(to, line, width, height, x);
  rows.forEach((row, index) => nameRow(to, row, TOP + index * ROW));
}

function drawRow(to, row, top, width, range, x) {
  const bars = LABELS.map((label) => histogram(row.scores[label], range));
  const highest = Math.max(1, ...Array.from({ length: BINS }, (_, i) => bars[0][i] + bars[1][i] + bars[2][i]));
  const step = (width - 2 * SIDE) / BINS, room = ROW - 18;
  for (let i = 0; i < BINS; i++) {
    let base = top + ROW - 1;
    LABELS.forEach((label, kind) => {
      const tall = bars[kind][i] && Math.max(1.5, (bars[kind][i] / highest) * room);
      to.fillStyle = COLOURS[label];
      to.fillRect(SIDE + i * step, base - tall, Math.max(1, step - 0.6), tall);
      base -= tall;
    });
  }
  to.fillStyle = "#4b5563";
  to.fillRect(SIDE, top + ROW - 1, width - 2 * SIDE, 1);
  if (row.line) drawLine(to, { ...row.line, top, bottom: top + ROW }, width, top + ROW + FOOT, x);
}

/** What a row is about, over the lines. */
function nameRow(to, row, top) {
  const n = LABELS.reduce((sum, label) => sum + row.scores[label].length, 0);
  const text = `${row.name}: ${n.toLocaleString("en")}${row.line ? `, in force ${plain(row.line.at)}` : ""}`;
  to.fillStyle = "#16181c";
  to.fillRect(SIDE, top + 3, to.measureText(text).width + 6, 15);
  to.fillStyle = "#f5f6f7";
  to.fillText(text, SIDE + 2, top + 14);
}

/** A threshold with its words, and the review band before it, hatched. */
function drawLine(to, { at, from, said, dashed, level = 0, top = TOP - 2, bottom }, width, height, x) {
  const end = bottom ?? height - FOOT;
  const [left, right] = [Number.isFinite(from) ? x(from) : SIDE, Number.isFinite(at) ? x(at) : width - SIDE];
  to.strokeStyle = to.fillStyle = dashed ? "#ffffff" : "#c9cdd3";
  to.lineWidth = 1;
  if (from < at) {
    to.globalAlpha = 0.35;
    for (let place = left; place < right; place += 7) to.strokeRect(place, top + 4 + level * 5, 3, 0.5);
    to.globalAlpha = dashed ? 0.14 : 0.08;
    to.fillRect(left, top, right - left, end - top);
    to.globalAlpha = 1;
    if (Number.isFinite(from)) stroke(to, left, top, end, 1, [2, 3]);
  }
  if (!Number.isFinite(at)) return;
  stroke(to, right, top, end, dashed ? 2 : 1.5, dashed ? [6, 3] : []);
  if (!said) return;
  const text = `${said} ${plain(at)}`, wide = to.measureText(text).width;
  const place = Math.max(2, Math.min(width - wide - 2, right - wide / 2)), row = 12 + level * 15;
  to.fillText(text, place, row);
}

function stroke(to, x, top, end, width, dash) {
  to.lineWidth = width;
  to.setLineDash(dash);
  to.beginPath();
  to.moveTo(x, top);
  to.lineTo(x, end);
  to.stroke();
  to.setLineDash([]);
}
