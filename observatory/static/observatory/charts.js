// Draws the charts of “What happened” from the numbers that stand in the page. Without it the page has its table.
(() => {
  "use strict";

  const numbers = (id) => JSON.parse(document.getElementById(id).textContent);
  const WORDS = ["calls", "denied", "errors", "p50", "p95", "cost", "tokens_in", "tokens_out"];
  // Second and third lines are dashed too: no meaning is in the colour alone.
  const DASHES = [[], [6, 4], [2, 3]];
  const HEIGHT = 190;

  function short(value) {
    if (value === null || value === undefined) return "–";
    const size = Math.abs(value);
    if (size >= 1e6) return `${(value / 1e6).toFixed(1)} M`;
    if (size >= 1e4) return `${(value / 1e3).toFixed(0)} k`;
    return size >= 10 || Number.isInteger(value) ? value.toFixed(0) : String(Number(value.toPrecision(2)));
  }

  // UTC, as every time here.
  const text = (seconds) => new Date(seconds * 1000).toISOString();
  const moment = (seconds) => text(seconds).slice(0, 16).replace("T", " ");

  // The time of day; where a day begins, and where ticks are days apart, the day.
  function ticks(_, moments, __, ___, apart) {
    return moments.map((at) => (apart >= 86400 || at % 86400 === 0 ? text(at).slice(5, 10) : text(at).slice(11, 16)));
  }

  // A figure between two unknown ones has no line to be seen by.
  function alone(plot, line, areAllShown) {
    if (areAllShown) return null;
    const values = plot.data[line], known = (place) => values[place] !== null && values[place] !== undefined;
    return values.flatMap((_, place) => (known(place) && !known(place - 1) && !known(place + 1) ? [place] : []));
  }

  function options(box, lines, names) {
    const style = getComputedStyle(box);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--chart-text"), grid: { stroke: colour("--chart-grid"), width: 1 }, ticks: { show: false } };
    return {
      width: box.clientWidth,
      height: HEIGHT,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
      cursor: { y: false },
      scales: { y: { range: (_, least, most) => [0, most > 0 ? most * 1.08 : 1] } },
      axes: [{ ...axis, space: 60, values: ticks }, { ...axis, size: 52, values: (_, values) => values.map(short) }],
      series: [
        { label: "UTC", value: (_, at) => (at === null ? "–" : moment(at)) },
        ...lines.map((line, position) => ({
          label: names[WORDS.indexOf(line)],
          stroke: colour(`--chart-line-${position + 1}`),
          dash: DASHES[position],
          width: 1.75,
          points: { size: 5, fill: colour(`--chart-line-${position + 1}`), filter: alone },
          value: (_, value) => short(value),
        })),
      ],
    };
  }

  function start() {
    const columns = numbers("chart-data"), names = numbers("chart-names");
    document.getElementById("charts").hidden = false;
    const boxes = [...document.querySelectorAll(".over-time")];
    const drawn = new Map();
    function draw(box) {
      drawn.get(box)?.destroy();
      const lines = box.dataset.lines.split(" ");
      drawn.set(box, new uPlot(options(box, lines, names), [columns.at, ...lines.map((line) => columns[line])], box));
    }
    boxes.forEach(draw);
    const resized = new ResizeObserver((entries) => entries.forEach(({ target }) => {
      drawn.get(target).setSize({ width: target.clientWidth, height: HEIGHT });
    }));
    boxes.forEach((box) => resized.observe(box));
    // The theme is a class of the document: the lines take its colours.
    new MutationObserver(() => boxes.forEach(draw)).observe(document.documentElement, { attributeFilter: ["class"] });
  }

  document.addEventListener("DOMContentLoaded", start);
})();
