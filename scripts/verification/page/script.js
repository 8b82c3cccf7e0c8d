"use strict";
const data = JSON.parse(document.getElementById("data").textContent);
const marks = { passed: "✓", failed: "✗", argued: "≈", cut: "◐", not_run: "○" };
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const checks = data.checks.map(([id, name, kind, state, counterexample, seconds, file, line, suite, message]) =>
  ({ id, name, kind, state, counterexample, seconds, file, line, suite, message }));
const counterexamples = new Map(data.counterexamples.map(entry => [entry.id, entry]));
const nameOf = new Map(checks.map(check => [check.id, check.name]));

function element(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (key === "style") node.style.cssText = value; else node.setAttribute(key, value);
  }
  node.append(...children.filter(child => child !== null && child !== undefined));
  return node;
}
function onChange(box, function_) {
  box.addEventListener("input", function_);
  box.addEventListener("change", function_);
}
const base = file => file.slice(file.lastIndexOf("/") + 1);

// -- Light and dark ---------------------------------------------------------------------------------------------------

$("#theme").addEventListener("click", () => {
  const root = document.documentElement.dataset;
  const dark = root.theme ? root.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.theme = dark ? "light" : "dark";
});

// -- Tables that can be filtered --------------------------------------------------------------------------------------

function filterTable(box) {
  const text = $("input", box).value.toLowerCase();
  const wanted = $$("select", box).filter(select => select.value);
  let shown = 0;
  const rows = $$("tbody tr", document.getElementById(box.dataset.for));
  for (const row of rows) {
    row.hidden = !(row.textContent.toLowerCase().includes(text) &&
      wanted.every(select => (row.dataset[select.dataset.key] || "").split(" ").includes(select.value)));
    shown += !row.hidden;
  }
  $("output", box).textContent = `${shown} of ${rows.length}`;
}
for (const box of $$(".filters[data-for]")) {
  onChange(box, () => filterTable(box));
  filterTable(box);
}
for (const link of $$("a[data-filter]")) {
  link.addEventListener("click", () => {
    const box = $(`.filters[data-for="${link.dataset.kind === "scenario" ? "scenario-table" : "check-table"}"]`);
    $$("select", box).forEach(select => { select.value = { property: link.dataset.filter, kind: link.dataset.kind }[select.dataset.key] || ""; });
    $("input", box).value = "";
    filterTable(box);
  });
}
for (const cell of $$(".evidence td, #scenario-table td")) {  // for phones, which have no room for the head
  cell.dataset.title = cell.closest("table").querySelectorAll("thead th")[cell.cellIndex].firstChild.textContent;
}

document.addEventListener("click", async event => {
  if (!event.target.matches(".copy")) return;
  const code = event.target.previousElementSibling;
  try {
    await navigator.clipboard.writeText(code.textContent);
    event.target.textContent = "copied";
  } catch {  // opened as a file: at least it is selected
    getSelection().selectAllChildren(code);
    event.target.textContent = "selected";
  }
  setTimeout(() => { event.target.textContent = "copy"; }, 1500);
});

// -- Lines ------------------------------------------------------------------------------------------------------------

const byLine = d3.group(checks.filter(check => check.kind === "mutant" && check.line), check => `${check.file}:${check.line}`);
const lineBox = $("#line-filters");
const [lineShow, lineSuite] = $$("select", lineBox);
for (const suite of [...new Set(checks.filter(check => check.kind === "mutant").map(check => check.suite).filter(Boolean))].sort()) {
  lineSuite.append(element("option", {}, suite));
}
function filterLines() {
  const filtered = lineShow.value || lineSuite.value;
  let shown = 0;
  for (const file of $$(".file")) {
    let some = false;
    for (const line of $$(".row", file)) {
      const mutants = line.dataset.m ? byLine.get(line.id) || [] : [];
      line.hidden = Boolean(filtered) && !(mutants.length &&
        (lineShow.value !== "open" || mutants.some(m => m.state === "failed" || m.state === "cut")) &&
        (!lineSuite.value || mutants.some(m => m.suite === lineSuite.value)));
      some = some || !line.hidden;
      shown += filtered && !line.hidden;
    }
    file.hidden = !some;
    if (filtered && some) file.open = true;
  }
  $("output", lineBox).textContent = filtered ? `${shown} lines` : "";
}
onChange(lineBox, filterLines);

document.addEventListener("click", event => {
  const button = event.target.closest(".who");
  if (!button) return;
  const line = button.parentElement;
  const open = $(".mutants", line);
  if (open) { open.remove(); return; }
  line.append(element("div", { class: "mutants" }, ...byLine.get(line.id).map(mutant => element("div", {},
    element("span", { class: `badge ${mutant.state}` }, `${marks[mutant.state]} ${{ passed: "noticed", argued: "equivalent", cut: "open", failed: "unnoticed" }[mutant.state]}`), " ",
    mutant.name, " ",
    mutant.suite ? element("span", { class: "dim" }, `by ${mutant.suite} `) : null,
    mutant.counterexample ? element("a", { href: `#${mutant.counterexample}` }, "see how") : null,
    mutant.message && mutant.state !== "passed" ? element("small", {}, mutant.message) : null))));
});

// -- Counter-examples -------------------------------------------------------------------------------------------------

const list = $("#counterexample-list"), view = $("#counterexample"), counterexampleBox = $("#counterexample-filters");
const rank = { defect: 0, must_fail: 1, weakening: 2, mutant: 3 };
const sorted = [...counterexamples.values()].sort((a, b) => rank[a.purpose] - rank[b.purpose]);
for (const entry of sorted) {
  const item = element("li", { class: entry.purpose },
    element("a", { href: `#${entry.id}`, id: `list-${entry.id}` }, element("b", { style: "font-weight:500" }, nameOf.get(entry.check) || entry.check),
      element("small", {}, [entry.failure, entry.suite && !entry.check.endsWith(`/${entry.suite}`) ? entry.suite : "",
        (entry.properties || []).join(" ")].filter(Boolean).join(" · "))));
  item.search = [entry.check, entry.failure, entry.message, entry.suite, entry.file, ...(entry.properties || [])].join(" ").toLowerCase();
  item.purpose = entry.purpose;
  list.append(item);
}
function filterCounterexamples() {
  const text = $("input", counterexampleBox).value.toLowerCase(), purpose = $("select", counterexampleBox).value;
  let shown = 0;
  for (const item of list.children) {
    item.hidden = !item.search.includes(text) || (purpose && item.purpose !== purpose);
    shown += !item.hidden;
  }
  $("output", counterexampleBox).textContent = `${shown} of ${sorted.length}`;
}
onChange(counterexampleBox, filterCounterexamples);
filterCounterexamples();

function difference(text) {
  return element("pre", {}, ...text.split("\n").map(line => element("span",
    { class: /^[-+]{3}|^@@/.test(line) ? "hunk" : line[0] === "+" ? "add" : line[0] === "-" ? "del" : "" }, line + "\n")));
}

function lanes(entry) {
  const inner = element("div", { class: "lanes-inner", style:
    `--lanes: ${entry.lanes.length}; grid-template-columns: 2rem repeat(${entry.lanes.length}, minmax(7rem, 1fr)) max-content` });
  const nodes = [];
  entry.lanes.forEach((lane, i) => {
    inner.append(element("div", { class: "rail", style: `--lane: var(--l${i % 8}); grid-column: ${i + 2}` }));
    inner.append(element("div", { class: "head", style: `--lane: var(--l${i % 8}); grid-column: ${i + 2}; grid-row: 1` }, lane));
  });
  const lastOf = new Map(), edges = [];
  let index = 0;
  entry.steps.forEach(([lane, text, file, line, from, stale, wakes], row) => {
    if (lane < 0) {
      inner.append(element("div", { class: "gap", style: `grid-row: ${row + 2}` }, `${text} steps are left out`));
      index += text;
      return;
    }
    const words = data.texts[text], path = data.files[file];
    const node = element("div", { class: "step" + (stale ? " stale" : ""), style:
      `--lane: var(--l${lane % 8}); --column: ${lane}; grid-column: ${lane + 2}; grid-row: ${row + 2}` },
      element("span", { class: "lane" }, entry.lanes[lane] + " "), words);
    inner.append(element("div", { class: "no", style: `grid-column: 1; grid-row: ${row + 2}` }, String(index)), node);
    if (path) {
      inner.append(element(document.getElementById(path) ? "a" : "span", { href: `#${path}:${line}`, class: "where",
        style: `--column: ${lane}; grid-column: ${entry.lanes.length + 2}; grid-row: ${row + 2}` }, element("span", {}, base(path)), `:${line}`));
    }
    nodes[index] = node;
    if (from >= 0) edges.push([from, index, stale ? "stale" : ""]);
    if (wakes.length) wakes.forEach(other => lastOf.set(other, index));
    else if (lastOf.has(lane)) { edges.push([lastOf.get(lane), index, "wake"]); lastOf.delete(lane); }
    index += 1;
  });
  const last = entry.steps.length + 2;
  const standing = entry.standing || [];
  for (const { lane, text } of standing) {  // where each thread stands
    inner.append(element("div", { class: "step stuck", style: `--column: ${lane}; grid-column: ${lane + 2}; grid-row: ${last}` },
      element("span", { class: "lane" }, entry.lanes[lane] + " "), text));
  }
  if (!standing.length && nodes.length) nodes[nodes.length - 1].classList.add("stuck");
  const box = element("div", { class: "lanes" }, inner);
  requestAnimationFrame(() => drawEdges(inner, nodes, edges));
  return box;
}

// Reads, wake-ups and starts that cross from one lane to another.
function drawEdges(inner, nodes, edges) {
  const place = node => ({ x: node.offsetLeft, y: node.offsetTop, w: node.offsetWidth, h: node.offsetHeight });
  const path = d3.select(inner).append("svg").attr("width", inner.scrollWidth).attr("height", inner.scrollHeight)
    .selectAll("path").data(edges.filter(([a, b]) => nodes[a] && nodes[b] && nodes[a].style.gridColumn !== nodes[b].style.gridColumn))
    .enter().append("path").attr("class", ([, , kind]) => kind);
  path.attr("d", ([from, to]) => {
    const a = place(nodes[from]), b = place(nodes[to]);
    const right = b.x > a.x;
    const start = [right ? a.x + a.w : a.x, a.y + a.h / 2], end = [right ? b.x : b.x + b.w, b.y + b.h / 2];
    return d3.linkHorizontal()({ source: start, target: end }) + `m0,0m${right ? -5 : 5},-3l${right ? 5 : -5},3l${right ? -5 : 5},3`;
  });
  path.each(function ([from, to]) {
    for (const node of [nodes[from], nodes[to]]) {
      node.addEventListener("mouseenter", () => { d3.select(this).style("opacity", 1).style("stroke-width", 2); });
      node.addEventListener("mouseleave", () => { d3.select(this).style("opacity", null).style("stroke-width", null); });
    }
  });
}

function show(id) {
  const entry = counterexamples.get(id);
  if (!entry) return;
  $$("a.here", list).forEach(link => link.classList.remove("here"));
  const link = document.getElementById(`list-${id}`);
  link.classList.add("here");
  list.scrollTop = link.parentElement.offsetTop - list.offsetTop - list.clientHeight / 3;
  const purposes = { defect: "A defect of the worker.", must_fail: "A planted fault: this suite must fail.",
    weakening: "An order one step weaker than in the sources.", mutant: "A change to one place of the worker." };
  const known = entry.file && document.getElementById(entry.file);
  view.replaceChildren(
    element("h3", {}, nameOf.get(entry.check) || entry.check),
    element("p", {}, element("b", {}, entry.failure || "failed"), entry.message ? `: ${entry.message}` : ""),
    element("p", { class: "options" },
      element("span", {}, purposes[entry.purpose]),
      entry.suite ? element("span", {}, "Suite ", element("b", {}, entry.suite)) : null,
      (entry.properties || []).length ? element("span", {}, "Property ", ...entry.properties.flatMap(p => [element("a", { href: `#${p}` }, p), " "])) : null,
      entry.file ? element("span", {}, "Line ", known ? element("a", { href: `#${entry.file}:${entry.line}`, class: "site" }, `${base(entry.file)}:${entry.line}`) : `${base(entry.file)}:${entry.line}`) : null,
      entry.preemptions !== undefined ? element("span", {}, `${entry.preemptions} preemptions`) : null),
    entry.replay ? element("div", { class: "replay" }, element("code", {}, entry.replay), element("button", { type: "button", class: "copy" }, "copy")) : null,
    ...[entry.change ? difference(entry.change) : null, entry.text ? element("pre", {}, entry.text) : null,
      entry.steps.length ? lanes(entry) : null].filter(Boolean));
  view.querySelectorAll("p:empty").forEach(node => node.remove());
}

// -- Addresses --------------------------------------------------------------------------------------------------------

function follow() {
  const id = decodeURIComponent(location.hash.slice(1));
  if (counterexamples.has(id)) {
    show(id);
    view.scrollIntoView();
  } else if (id) {
    const target = document.getElementById(id);
    const file = target?.closest(".file");
    if (file) {
      if (file.hidden || target.hidden) { lineShow.value = lineSuite.value = ""; filterLines(); }
      file.open = true;
      target.scrollIntoView({ block: "center" });
    }
  }
}
addEventListener("hashchange", follow);
if (sorted.length) show(sorted[0].id);
follow();

const sections = new IntersectionObserver(entries => {
  for (const entry of entries.filter(e => e.isIntersecting)) {
    $$("nav a").forEach(link => link.classList.toggle("here", link.hash === `#${entry.target.id}`));
  }
}, { rootMargin: "-20% 0px -70% 0px" });
$$("main section[id]").forEach(section => sections.observe(section));

// -- Charts -----------------------------------------------------------------------------------------------------------

function chart(selector, width, height) {
  return d3.select(selector).append("svg").attr("viewBox", `0 0 ${width} ${height}`).attr("role", "img");
}
const short = value => value < 1e4 ? d3.format(",")(Math.round(value)) : d3.format(".2~s")(value).replace("G", " bn").replace("M", " m").replace("k", " k");

function comparison() {
  const rows = data.comparison;
  if (!rows.length) return;
  const width = Math.max(360, Math.min(1180, $("#comparison-chart").clientWidth - 20)), left = Math.min(280, width * 0.36), step = 20;
  const svg = chart("#comparison-chart", width, rows.length * step + 48);
  const theirs = row => row.executions || row.estimate;
  const x = d3.scaleLog().domain([1, d3.max(rows, theirs) * 2]).range([left, width - 20]);
  const y = (row, i) => i * step + 34;
  const axis = d3.axisBottom(x).ticks(Math.max(3, Math.floor((width - left) / 80)), ".0e").tickSize(rows.length * step);
  svg.append("g").attr("transform", "translate(0,24)").call(axis).call(g => g.select(".domain").remove())
    .selectAll("text").text(v => `10${String(Math.round(Math.log10(v))).replace(/./g, c => "⁰¹²³⁴⁵⁶⁷⁸⁹"[c])}`);
  const g = svg.selectAll("g.row").data(rows).enter().append("g").attr("transform", (row, i) => `translate(0,${y(row, i)})`);
  g.append("text").attr("x", left - 10).attr("dy", "0.35em").attr("text-anchor", "end").style("font", "11px var(--mono)").text(row => row.name.length * 6.7 > left ? row.name.slice(0, Math.floor(left / 6.7) - 2) + "…" : row.name);
  const ours = row => row.complete === null ? null : Math.max(1, row.complete + row.redundant);
  g.filter(row => ours(row)).append("line").attr("x1", row => x(ours(row))).attr("x2", row => x(theirs(row))).style("stroke", "var(--line)").style("stroke-width", 2);
  g.filter(row => row.optimal).append("rect").attr("x", row => x(row.optimal[0] + row.optimal[1]) - 4).attr("y", -4).attr("width", 8).attr("height", 8).style("fill", "var(--l3)");
  g.append("circle").attr("cx", row => x(theirs(row))).attr("r", 4).style("stroke", "var(--l2)").style("stroke-width", 1.5).style("fill", row => row.executions ? "var(--l2)" : "var(--panel)");
  g.filter(row => ours(row)).append("circle").attr("cx", row => x(ours(row))).attr("r", 4.5).style("fill", "var(--l1)");
  g.append("title").text(row => `${row.name}: ours ${ours(row) ? short(ours(row)) : "not finished"}, ${row.search} ${row.executions ? "" : "about "}${short(theirs(row))}`);
  const legend = [["var(--l1)", "ours"], ["var(--l2)", "no reduction, or Relacy's own"], ["var(--l3)", "optimal checker for C"]];
  let at = left;
  for (const [color, words] of legend) {
    svg.append("circle").attr("cx", at).attr("cy", 8).attr("r", 4).style("fill", color);
    svg.append("text").attr("x", at + 9).attr("y", 12).attr("class", "faint").text(words);
    at += words.length * 6.2 + 30;
  }
}

const seconds = s => s >= 3600 ? `${Math.floor(s / 3600)} h` + (s % 3600 >= 30 ? ` ${Math.round(s % 3600 / 60)} min` : "") : s >= 60 ? `${Math.round(s / 60)} min` : s >= 10 || s === 0 ? `${Math.round(s)} s` : `${s.toFixed(1)} s`;

function durations() {
  const rows = checks.filter(check => check.seconds > 0).sort((a, b) => b.seconds - a.seconds).slice(0, 14);
  if (!rows.length) return;
  const width = 560, step = 22, svg = chart("#duration-chart", width, rows.length * step + 6);
  const x = d3.scaleLinear().domain([0, rows[0].seconds]).range([0, width - 300]);
  const g = svg.selectAll("g").data(rows).enter().append("g").attr("transform", (row, i) => `translate(0,${i * step})`);
  g.append("text").attr("x", 240).attr("y", 14).attr("text-anchor", "end").style("font", "11px var(--mono)").text(row => row.name.length > 35 ? row.name.slice(0, 34) + "…" : row.name);
  g.append("rect").attr("x", 248).attr("y", 4).attr("height", 13).attr("rx", 2).attr("width", row => Math.max(1, x(row.seconds))).style("fill", row => row.state === "cut" ? "var(--cut)" : "var(--l1)").style("opacity", 0.8);
  g.append("text").attr("x", row => 253 + x(row.seconds)).attr("y", 14).attr("class", "faint").text(row => seconds(row.seconds));
  g.append("title").text(row => `${row.name}: ${seconds(row.seconds)}`);
}

function history() {
  const entries = data.history.filter(e => Object.values(e.parts).some(part => part.seconds));
  if (!entries.length) { d3.select("#history-chart").append("p").attr("class", "dim").text("No part has a recorded time yet."); return; }
  const names = ["model", "mutants", "props", "stress", "tests"];
  const width = 560, height = 300, svg = chart("#history-chart", width, height);
  const x = d3.scalePoint().domain(entries.map((e, i) => i)).range([66, width - 70]).padding(0.4);
  const values = entries.flatMap(e => names.map(name => e.parts[name]?.seconds || 0));
  const y = d3.scaleSqrt().domain([0, Math.max(10, d3.max(values) || 10)]).range([height - 42, 12]);
  const ticks = [0, 10, 60, 300, 900, 1800, 3600, 7200, 14400, 28800].filter(t => t <= y.domain()[1])
    .reduceRight((kept, t) => kept.length && y(t) - y(kept[0]) < 18 ? kept : [t, ...kept], []);
  svg.append("g").attr("transform", "translate(60,0)").call(d3.axisLeft(y).tickValues(ticks).tickFormat(seconds).tickSize(-(width - 124))).call(g => g.select(".domain").remove());
  const ends = [];
  names.forEach((name, n) => {
    const points = entries.map((e, i) => [i, e.parts[name]?.seconds]).filter(p => p[1]);
    svg.append("path").attr("fill", "none").style("stroke", `var(--l${n + 1})`).style("stroke-width", 1.5).attr("d", d3.line().x(p => x(p[0])).y(p => y(p[1]))(points));
    svg.append("g").selectAll("circle").data(points).enter().append("circle").attr("cx", p => x(p[0])).attr("cy", p => y(p[1])).attr("r", 3).style("fill", `var(--l${n + 1})`);
    if (points.length) ends.push({ name, at: y(points[points.length - 1][1]) + 4, color: `var(--l${n + 1})` });
  });
  ends.sort((a, b) => a.at - b.at).forEach((end, i) => {  // none on top of another
    if (i) end.at = Math.max(end.at, ends[i - 1].at + 13);
    svg.append("text").attr("x", width - 60).attr("y", end.at).text(end.name).style("fill", end.color);
  });
  const color = { passed: "--passed", failed: "--failed", incomplete: "--cut", reduced: "--cut" };
  svg.append("g").selectAll("rect").data(entries).enter().append("rect").attr("x", (e, i) => x(i) - 5).attr("y", height - 30).attr("width", 10).attr("height", 10).attr("rx", 2)
    .style("fill", e => `var(${color[e.verdict]})`).append("title").text(e => `${e.generated.slice(0, 16)} ${e.commit.slice(0, 12)}: ${e.verdict}`);
  svg.append("text").attr("x", 52).attr("y", height - 4).attr("class", "faint").text("each square is a report, coloured by its verdict");
}

comparison();
durations();
history();
