// How much room a box has in the page.

const { useLayoutEffect, useState } = window.React;

/** The ref of a box, and its width and height now, in pixels; [0, 0] until it is there. */
export function useRoom() {
  const [box, setBox] = useState(null), [room, setRoom] = useState([0, 0]);
  useLayoutEffect(() => {
    if (!box) return undefined;
    const watch = new ResizeObserver(([{ contentRect }]) => setRoom([contentRect.width, contentRect.height]));
    watch.observe(box);
    return () => watch.disconnect();
  }, [box]);
  return [setBox, room];
}
