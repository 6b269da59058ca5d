// Colours that mean the same everywhere, and the look of the panels that lie over an open image.

export const BACK = "#16181c", TEXT = "#f5f6f7", MUTED = "#aab1bb", BORDER = "#4b5563", RAISED = "#23272e";
export const NORMAL = "#56b4e9", ANOMALOUS = "#e69f00", NEUTRAL = "#c9cdd3", ERROR = "#ff8a5c";
const ARROWS_PX = 54;

/** A layer that fills what it lies in. */
export const FILL = { position: "absolute", left: 0, top: 0, width: "100%", height: "100%", display: "block" };

export const CONTROL = {
  background: RAISED, color: TEXT, border: `1px solid ${BORDER}`, borderRadius: 4, font: "13px sans-serif", padding: "2px 8px", cursor: "pointer",
};

/** Of a whole panel; the App's arrows lie over the sides of what is open. */
export const panel = (isOpen) => ({
  height: "100%", boxSizing: "border-box", padding: `12px ${isOpen ? ARROWS_PX : 12}px`, display: "flex", flexDirection: "column",
  background: BACK, color: TEXT, font: "14px/20px sans-serif", overflow: "auto",
});

/** Three bytes for each of 256 values. */
export const palette = (colours) => Uint8Array.from(atob(colours), (each) => each.charCodeAt(0));
