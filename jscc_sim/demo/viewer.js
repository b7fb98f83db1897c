// One zoom for all pictures: three numbers of the document, which every pane's layer is drawn by.
(() => {
  const root = document.documentElement;
  let zoom = 1, x = 0, y = 0, held = null; // x, y: of the picture's corner, in widths and heights of a pane

  const show = () => {
    x = Math.min(0, Math.max(1 - zoom, x));
    y = Math.min(0, Math.max(1 - zoom, y));
    root.style.setProperty("--zoom", zoom);
    root.style.setProperty("--zoom-x", `${100 * x}%`);
    root.style.setProperty("--zoom-y", `${100 * y}%`);
    root.style.setProperty("--zoom-pixels", zoom > 2 ? "pixelated" : "auto");
  };

  const by = (factor, at = [0.5, 0.5]) => {
    const next = Math.min(32, Math.max(1, zoom * factor));
    x = at[0] - ((at[0] - x) * next) / zoom;
    y = at[1] - ((at[1] - y) * next) / zoom;
    zoom = next;
    show();
  };

  const view = (event) => (event.target.closest ? event.target.closest(".jscc .view") : null);
  const place = (event, box) => [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];

  document.addEventListener("wheel", (event) => {
    const over = view(event);
    if (!over || !event.ctrlKey) return;
    event.preventDefault();
    by(Math.exp(-event.deltaY / 200), place(event, over.getBoundingClientRect()));
  }, { passive: false });

  document.addEventListener("dblclick", (event) => {
    const over = view(event);
    if (over) by(2, place(event, over.getBoundingClientRect()));
  });

  document.addEventListener("pointerdown", (event) => {
    const over = view(event);
    if (over && zoom > 1) held = { box: over.getBoundingClientRect(), from: [event.clientX, event.clientY], x, y };
  });

  document.addEventListener("pointermove", (event) => {
    if (!held) return;
    x = held.x + (event.clientX - held.from[0]) / held.box.width;
    y = held.y + (event.clientY - held.from[1]) / held.box.height;
    show();
  });

  for (const name of ["pointerup", "pointercancel"]) document.addEventListener(name, () => { held = null; });

  document.addEventListener("click", (event) => {
    const button = event.target.closest ? event.target.closest("[data-zoom]") : null;
    if (!button) return;
    if (button.dataset.zoom === "whole") { zoom = 1; show(); } else by(button.dataset.zoom === "in" ? 2 : 0.5);
  });
})();
