// A page whose programs did not arrive, because the server was being started anew, would stay white: nothing runs in it that could try
// again. It is loaded again as soon as the server answers, three times a minute at most.
(() => {
  const KEY = "prunescope-reloads";
  let waiting = false;
  const remembered = () => {
    try {
      return JSON.parse(sessionStorage.getItem(KEY) || "[]").filter((moment) => moment > Date.now() - 60000);
    } catch {
      return [];
    }
  };
  const remember = (moments) => {
    try {
      sessionStorage.setItem(KEY, JSON.stringify(moments));
    } catch {
      // no storage here: then it is loaded again each time
    }
  };
  const again = () => fetch(location.href, {cache: "no-store"}).then((answer) => {
    if (answer.status >= 500) throw new Error(answer.statusText);
    location.reload();
  }).catch(() => setTimeout(again, 1000));
  const missing = () => {
    const before = remembered();
    if (waiting || before.length >= 3) return;
    waiting = true;
    remember([...before, Date.now()]);
    setTimeout(again, 500);
  };
  addEventListener("error", ({target}) => {
    if (target.tagName === "SCRIPT" || (target.tagName === "LINK" && target.rel === "stylesheet")) missing();
  }, true);
  addEventListener("vite:preloadError", missing);
})();
