"use strict";
// Draws the charts in the theme of the reader's system, sorts tables by a click on a head, saves the runs that are in the file.
const dark = window.matchMedia("(prefers-color-scheme: dark)");
const figures = JSON.parse(document.getElementById("figures").textContent);
const places = figures.map((figure) => {
  const name = "chart-" + figure.name;
  const ready = document.getElementById(name); // a section of its own has a place for it
  if (ready) return ready;
  const place = document.createElement("div");
  place.id = name;
  document.getElementById("charts").append(place);
  return place;
});

function draw(theme) {
  figures.forEach((figure, at) => {
    const { data, layout } = figure[theme];
    Plotly.react(places[at], data, layout, { ...figure.config, responsive: true });
  });
}
draw(dark.matches ? "dark" : "light");
dark.addEventListener("change", () => draw(dark.matches ? "dark" : "light"));
window.addEventListener("beforeprint", () => draw("light"));
window.addEventListener("afterprint", () => draw(dark.matches ? "dark" : "light"));

document.querySelectorAll("table.layers").forEach((table) => {
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    head.tabIndex = 0;
    head.title = "Sort";
    const sort = () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      const value = (row) => row.cells[column].dataset.value;
      const order = (a, b) => {
        const [x, y] = [value(a), value(b)];
        const difference = Number(x) - Number(y);
        return x !== "" && y !== "" && !Number.isNaN(difference) ? difference : x.localeCompare(y, "en", { numeric: true });
      };
      const rows = [...table.tBodies[0].rows].sort((a, b) => (down ? -1 : 1) * order(a, b));
      [...table.tHead.rows[0].cells].forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      table.tBodies[0].append(...rows);
    };
    head.addEventListener("click", sort);
    head.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
  });
});

const save = document.getElementById("save");
save.hidden = false;
save.addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([document.getElementById("runs").textContent], { type: "application/json" }));
  link.download = "prunescope-runs.json";
  link.click();
});
