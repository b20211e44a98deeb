(() => {
  "use strict";
  const figures = JSON.parse(document.getElementById("figures").textContent);
  const dark = window.matchMedia("(prefers-color-scheme: dark)");

  // Replace var(--name) in every string by the colour that the present theme gives it.
  const themed = (value) => {
    const style = getComputedStyle(document.documentElement);
    const walk = (part) => {
      if (typeof part === "string") {
        return part.replace(/var\((--[a-z0-9-]+)\)/g, (_, name) => style.getPropertyValue(name).trim());
      }
      if (Array.isArray(part)) return part.length > 50 && typeof part[0] === "number" ? part : part.map(walk);
      if (part && typeof part === "object") {
        return Object.fromEntries(Object.entries(part).map(([key, inner]) => [key, walk(inner)]));
      }
      return part;
    };
    return walk(value);
  };

  // Many points share the lines of their texts: row i picks one word from each list.
  const decode = (trace) => {
    const { text_codes: codes, ...rest } = trace;
    if (!codes) return trace;
    const perLine = Math.ceil(codes.words.length / 14);
    const text = codes.rows.map((row) => {
      const words = row.map((code, position) => codes.words[position][code]);
      const lines = [];
      for (let start = 0; start < words.length; start += perLine) {
        lines.push(words.slice(start, start + perLine).join(", "));
      }
      return lines.join("<br>");
    });
    return { ...rest, text };
  };

  const axis = {
    gridcolor: "var(--grid)", linecolor: "var(--line)", zerolinecolor: "var(--line)",
    tickfont: { color: "var(--muted)" }, automargin: true,
  };
  const base = {
    paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: "system-ui, -apple-system, Segoe UI, Roboto, Arial, sans-serif", size: 12.5, color: "var(--text)" },
    margin: { l: 12, r: 16, t: 14, b: 12 },
    hoverlabel: { bgcolor: "var(--surface)", bordercolor: "var(--line)", font: { color: "var(--text)" }, align: "left" },
    legend: { orientation: "h", yanchor: "top", y: -0.2, x: 0, bgcolor: "rgba(0,0,0,0)" },
    hovermode: "closest",
    dragmode: false,
  };
  const layoutOf = (figure) => {
    const layout = { ...base, ...figure.layout, height: figure.height };
    for (const name of ["xaxis", "yaxis"]) layout[name] = { ...axis, ...(figure.layout[name] || {}) };
    return themed(layout);
  };
  const config = { responsive: true, displaylogo: false, displayModeBar: false, scrollZoom: false };

  const plots = [...document.querySelectorAll(".plot")];
  const traces = figures.map((figure) => figure.data.map(decode));
  const draw = (plot) => {
    const index = Number(plot.dataset.figure);
    return Plotly.react(plot, themed(traces[index]), layoutOf(figures[index]), config);
  };
  const drawAll = () => plots.reduce((done, plot) => done.then(() => draw(plot)), Promise.resolve());
  drawAll().then(() => document.documentElement.setAttribute("data-drawn", String(plots.length)));
  dark.addEventListener("change", drawAll);
})();
