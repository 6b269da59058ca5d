// How long a person has had an image before their eyes: from its painting on, without the time the tab was hidden.

let shown = null, since = 0, sum = 0;

export function begun(id) {
  if (id === shown) return;
  shown = id;
  sum = 0;
  since = performance.now();
}

export function ended() {
  shown = null;
}

/** Seconds so far; null for an image that was not seen to be painted. */
export function seconds(id) {
  if (id !== shown) return null;
  const running = document.hidden ? 0 : performance.now() - since;
  return Math.round(sum + running) / 1000;
}

document.addEventListener("visibilitychange", () => {
  const now = performance.now();
  if (document.hidden) sum += now - since;
  else since = now;
});
