// Puts the live chart in the place of its drawing, once it is near the window. Whatever fails, the drawing stays.
"use strict";
(() => {
  // The cell around a point carries the point as its datum; Vega-Lite writes its tooltip as if it were the row of data.
  const patch = (spec) => {
    for (const mark of spec.marks) {
      if (mark.name?.endsWith("_voronoi")) mark.encode.update.tooltip = { signal: "datum.tooltip" };
    }
    return spec;
  };
  const options = {
    patch,
    mode: "vega-lite", renderer: "svg", actions: false, defaultStyle: false, ast: true,
    config: JSON.parse(document.getElementById("chart-config").textContent),
    loader: { load: () => Promise.reject(new Error("this page loads nothing")) },
    tooltip: { id: "chart-tip", disableDefaultStyle: true },
  };
  const show = async (box) => {
    const place = box.appendChild(document.createElement("div"));
    place.className = "live";
    try {
      await vegaEmbed(place, JSON.parse(box.querySelector("script").textContent), options);
      box.querySelector("svg.chart").remove();
      place.classList.add("shown");
    } catch (error) {
      place.remove();
      console.error("chart not shown live:", error);
    }
  };
  const near = new IntersectionObserver((entries) => entries.filter((e) => e.isIntersecting).forEach((entry) => {
    near.unobserve(entry.target);
    show(entry.target);
  }), { rootMargin: "300px" });
  document.querySelectorAll(".drawing").forEach((box) => near.observe(box));
})();
