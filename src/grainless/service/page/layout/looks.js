// The sliders zoom with the wheel and take every touch, so that a page with a large picture could not be
// scrolled. Here the wheel zooms with Ctrl held (a pinch on a touchpad is the same), and one finger scrolls
// unless it is on the handle or the picture is zoomed.
(() => {
  const box = (event) => event.target instanceof Element && event.target.closest(".slider-wrap")?.parentElement;
  const zoomed = (container) => !/scale\(1\)/.test(container.querySelector("img")?.style.transform ?? "scale(1)");
  document.addEventListener("wheel", (event) => {
    if (box(event) && !event.ctrlKey) event.stopPropagation();
  }, { capture: true, passive: true });
  document.addEventListener("touchstart", (event) => {
    const container = box(event);
    if (!container || event.touches.length > 1 || event.target.closest('[data-testid="slider"]')) return;
    if (!zoomed(container)) event.stopPropagation();
  }, { capture: true, passive: true });
})();
