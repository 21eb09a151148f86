// Saves charts as PNG: by the PNG button below a chart, and by the camera in a chart's own menu. Listens once a page, however often this
// is read. Plotly's own camera draws with the system's font, which is wider than the page's, and cuts labels off: here the font goes along.
// No tag may stand in this text (\u003c): Streamlit takes scripts out that hold one.
window.prunescopePictures ??= (() => {
  const camera = ".modebar-btn[data-title*=PNG]";

  async function font() { // the page's upright face as CSS that holds the whole font
    const rules = [...document.styleSheets].flatMap(sheet => { try { return [...sheet.cssRules]; } catch { return []; } });
    const face = rules.find(rule => rule instanceof CSSFontFaceRule && /^"?Source Sans"?$/.test(rule.style.fontFamily)
      && rule.style.fontStyle !== "italic");
    const url = face?.cssText.match(/url\("?([^")]+)"?\)/)?.[1];
    if (!url) return "";
    const bytes = new Uint8Array(await (await fetch(new URL(url, face.parentStyleSheet.href ?? document.baseURI))).arrayBuffer());
    const text = btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(""));
    return face.cssText.replace(/url\([^)]+\)/, `url(data:font/woff2;base64,${text})`);
  }

  async function save(chart) {
    const {filename, scale} = chart._context.toImageButtonOptions, {width, height} = chart._fullLayout;
    const drawn = await window.Plotly.toImage(chart, {format: "svg", width, height});
    const style = `\u003cstyle>${await font()}\u003c/style>`;
    const svg = decodeURIComponent(drawn.slice(drawn.indexOf(",") + 1)).replace(/\u003csvg[^>]*>/, start => start + style);
    const picture = new Image();
    picture.src = URL.createObjectURL(new Blob([svg], {type: "image/svg+xml"}));
    await picture.decode();
    const canvas = Object.assign(document.createElement("canvas"), {width: scale * width, height: scale * height});
    canvas.getContext("2d").drawImage(picture, 0, 0, canvas.width, canvas.height);
    URL.revokeObjectURL(picture.src);
    Object.assign(document.createElement("a"), {href: canvas.toDataURL("image/png"), download: `${filename}.png`}).click();
  }

  document.addEventListener("click", event => {
    const button = event.target.closest?.(`.ps-png, ${camera}`);
    const charts = [...document.querySelectorAll(".js-plotly-plot")];
    const chart = button?.closest(".js-plotly-plot")
      ?? charts.filter(one => button && one.compareDocumentPosition(button) & Node.DOCUMENT_POSITION_FOLLOWING).at(-1);
    if (!chart || !window.Plotly) return;
    event.stopImmediatePropagation();
    save(chart);
  }, true);
  return true;
})();
