// An address that a page writes by itself, before anybody has touched it, takes the place of the one that led there. As an entry of its
// own it would be where Back leads to: the page without its settings, which writes them anew.
(() => {
  const push = history.pushState.bind(history);
  let touched = false;
  const touch = () => {
    touched = true;
  };
  for (const kind of ["pointerdown", "keydown"]) addEventListener(kind, touch, true);
  addEventListener("popstate", () => {
    touched = false;
  });
  history.pushState = (state, title, address) => {
    const here = new URL(address ?? "", location.href).pathname === location.pathname;
    if (here && !touched) history.replaceState(state, title, address);
    else push(state, title, address);
    touched = false;
  };
})();
