"use strict";
// Without this script the page still has its curves, tables and pictures; it adds the theme switch, the
// slider, the gallery, and values of points. Nothing here makes HTML of text.

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Theme: as the system has it, or as chosen.
function themeSwitch(button) {
  const names = ["auto", "light", "dark"];
  const stored = () => { try { return localStorage.getItem("pycodec-theme"); } catch { return null; } };
  const apply = (name) => {
    if (name === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    button.textContent = `Theme: ${name}`;
  };
  let current = names.includes(stored()) ? stored() : "auto";
  button.hidden = false;
  apply(current);
  button.addEventListener("click", () => {
    current = names[(names.indexOf(current) + 1) % names.length];
    try { localStorage.setItem("pycodec-theme", current); } catch { /* a page of a folder may have no storage */ }
    apply(current);
  });
}

// Two versions of a picture over one another, and a divider between them.
class Viewer {
  constructor(scene) {
    this.root = scene.querySelector(".viewer");
    this.versions = all(".version", scene);
    const { width, height } = scene.querySelector(".versions").dataset;
    this.width = Number(width);
    this.height = Number(height);
    this.stage = this.root.querySelector(".stage");
    this.range = this.root.querySelector("input");
    this.sides = ["left", "right"].map((name, i) => ({
      select: this.root.querySelector(`select.${name}`),
      image: this.root.querySelectorAll(".half img")[i],
      tag: this.root.querySelector(`.tag-${name}`),
      caption: this.root.querySelector(`.caption-${name}`),
    }));
    this.zoom = 0; // 0: fit; else screen pixels per pixel
    this.center = [this.width / 2, this.height / 2];
    this.root.hidden = false;
    for (const side of this.sides) side.select.addEventListener("change", () => this.choose());
    this.root.querySelector(".swap").addEventListener("click", () => this.swap());
    for (const button of all("[data-zoom]", this.root)) {
      button.addEventListener("click", () => this.setZoom(Number(button.dataset.zoom) || 0));
    }
    this.range.addEventListener("input", () => this.split(Number(this.range.value)));
    this.root.addEventListener("keydown", (event) => this.key(event));
    this.listen();
    this.choose();
    this.split(50);
    new ResizeObserver(() => this.layout()).observe(this.root);
  }

  choose() {
    for (const side of this.sides) {
      const version = this.versions[side.select.value];
      const image = version.querySelector("img");
      side.image.src = image.src;
      side.image.classList.toggle("map", version.classList.contains("map"));
      side.tag.textContent = version.querySelector("strong").textContent;
      side.caption.replaceChildren(version.querySelector("figcaption").cloneNode(true));
    }
    const [left, right] = this.sides.map((side) => side.tag.textContent);
    this.range.setAttribute("aria-label", `Divider between ${left} (left) and ${right} (right)`);
    this.describe();
  }

  swap() {
    const [left, right] = this.sides.map((side) => side.select);
    [left.value, right.value] = [right.value, left.value];
    this.choose();
  }

  split(percent) {
    this.percent = clamp(percent, 0, 100);
    this.range.value = this.percent;
    this.stage.style.setProperty("--split", `${this.percent}%`);
    this.describe();
  }

  describe() {
    this.range.setAttribute("aria-valuetext", `${Math.round(this.percent ?? 50)} % ${this.sides[0].tag.textContent}`);
  }

  setZoom(zoom, at) {
    this.zoom = zoom;
    if (at) this.center = at;
    for (const button of all("[data-zoom]", this.root)) {
      button.setAttribute("aria-pressed", String((Number(button.dataset.zoom) || 0) === zoom));
    }
    this.layout();
  }

  layout() {
    const room = this.root.clientWidth;
    if (!room) return; // hidden: laid out when it is shown
    const tallest = Math.max(window.innerHeight * 0.82, 240);
    const fit = Math.min(room / this.width, tallest / this.height, Math.max(1, 480 / this.width));
    this.size = [this.width * fit, this.height * fit];
    this.scale = this.zoom || fit;
    this.stage.style.width = `${this.size[0]}px`;
    this.stage.style.height = `${this.size[1]}px`;
    this.stage.classList.toggle("pixelated", this.scale >= 1 && this.zoom > 0);
    this.stage.classList.toggle("zoomed", this.movable());
    this.place();
  }

  movable() { return this.scale * this.width > this.size[0] + 1; }

  place() {
    const drawn = [this.width * this.scale, this.height * this.scale];
    const [x, y] = drawn.map((length, i) => {
      const slack = this.size[i] - length;
      if (slack >= 0) return slack / 2;
      const start = clamp(this.size[i] / 2 - this.center[i] * this.scale, slack, 0);
      this.center[i] = (this.size[i] / 2 - start) / this.scale;
      return start;
    });
    this.origin = [x, y];
    const names = { "--x": x, "--y": y, "--w": drawn[0], "--h": drawn[1] };
    for (const [name, value] of Object.entries(names)) this.stage.style.setProperty(name, `${value}px`);
  }

  pan(dx, dy) {
    this.center = [this.center[0] - dx / this.scale, this.center[1] - dy / this.scale];
    this.place();
  }

  listen() {
    let last = null; // of a drag that moves the picture
    const percentAt = (event) => {
      const box = this.stage.getBoundingClientRect();
      return ((event.clientX - box.left) / box.width) * 100;
    };
    this.stage.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      this.stage.setPointerCapture(event.pointerId);
      const near = (Math.abs(percentAt(event) - this.percent) / 100) * this.size[0] < 24;
      if (this.movable() && !near) last = [event.clientX, event.clientY];
      else this.split(percentAt(event));
      this.stage.classList.toggle("panning", last !== null);
      this.range.focus({ preventScroll: true, focusVisible: false });
      event.preventDefault();
    });
    this.stage.addEventListener("pointermove", (event) => {
      if (!this.stage.hasPointerCapture(event.pointerId)) return;
      if (!last) return this.split(percentAt(event));
      this.pan(event.clientX - last[0], event.clientY - last[1]);
      last = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) {
      this.stage.addEventListener(end, () => { last = null; this.stage.classList.remove("panning"); });
    }
    this.stage.addEventListener("dblclick", (event) => {
      const box = this.stage.getBoundingClientRect();
      const at = [event.clientX - box.left, event.clientY - box.top];
      this.setZoom(this.zoom ? 0 : 2, at.map((v, i) => (v - this.origin[i]) / this.scale));
    });
  }

  key(event) {
    if (event.target.matches("select") || event.ctrlKey || event.metaKey || event.altKey) return;
    const arrows = { ArrowLeft: [48, 0], ArrowRight: [-48, 0], ArrowUp: [0, 48], ArrowDown: [0, -48] };
    if (["0", "1", "2", "4"].includes(event.key)) this.setZoom(Number(event.key));
    else if (event.shiftKey && arrows[event.key]) this.pan(...arrows[event.key]);
    else return;
    event.preventDefault();
  }
}

// The same small region of every version, enlarged; dragging one, or the arrow keys, moves all.
class Crops {
  constructor(scene, side = 96) {
    this.strip = scene.querySelector(".versions");
    scene.querySelector(".versions-title").hidden = false;
    this.side = side;
    this.limit = ["width", "height"].map((name) => Math.max(Number(this.strip.dataset[name]) - side, 0));
    this.width = Number(this.strip.dataset.width);
    this.at = scene.dataset.crop.split(" ").map(Number);
    this.strip.classList.add("crops");
    this.strip.tabIndex = 0;
    this.strip.setAttribute("aria-label", `${this.strip.getAttribute("aria-label")}, enlarged; arrow keys move the region`);
    this.strip.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: [-8, 0], ArrowRight: [8, 0], ArrowUp: [0, -8], ArrowDown: [0, 8] }[event.key];
      if (!step || event.target !== this.strip) return;
      this.move(...step);
      event.preventDefault();
    });
    for (const frame of all(".version:not(.map) .window", this.strip)) this.drag(frame);
    new ResizeObserver(() => this.move(0, 0)).observe(this.strip);
  }

  drag(frame) {
    let last = null;
    frame.addEventListener("pointerdown", (event) => {
      frame.setPointerCapture(event.pointerId);
      last = [event.clientX, event.clientY];
      event.preventDefault();
    });
    frame.addEventListener("pointermove", (event) => {
      if (!last) return;
      const scale = frame.clientWidth / this.side;
      this.move((last[0] - event.clientX) / scale, (last[1] - event.clientY) / scale);
      last = [event.clientX, event.clientY];
    });
    for (const end of ["pointerup", "pointercancel"]) frame.addEventListener(end, () => { last = null; });
  }

  move(dx, dy) {
    const frame = this.strip.querySelector(".window");
    if (!frame.clientWidth) return;
    this.at = [dx, dy].map((d, i) => clamp(this.at[i] + d, 0, this.limit[i]));
    const scale = frame.clientWidth / this.side;
    this.strip.style.setProperty("--x", `${-this.at[0] * scale}px`);
    this.strip.style.setProperty("--y", `${-this.at[1] * scale}px`);
    this.strip.style.setProperty("--w", `${this.width * scale}px`);
  }
}

// One picture at a time, named by the address.
function gallery(nav, scenes) {
  const links = all("a", nav);
  const show = (key, scroll) => {
    const found = scenes.findIndex((scene) => scene.id === key);
    if (found < 0) return;
    scenes.forEach((scene, i) => { scene.hidden = i !== found; });
    links.forEach((link, i) => link.setAttribute("aria-current", String(i === found)));
    if (scroll) nav.scrollIntoView({ block: "start" });
  };
  show(scenes[0].id, false);
  show(location.hash.slice(1), true);
  addEventListener("hashchange", () => show(location.hash.slice(1), true));
  addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (!step || event.defaultPrevented || event.shiftKey || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.closest("input, select, summary, .figure, .crops, .scroll")) return;
    const now = scenes.findIndex((scene) => !scene.hidden);
    const next = scenes[clamp(now + step, 0, scenes.length - 1)];
    if (next.hidden) location.hash = next.id;
  });
}

// Points of a figure: one stop of the Tab key, arrow keys from point to point, values beside the point.
function chart(figure) {
  const svg = figure.querySelector("svg");
  const series = (point) => Number(point.parentNode.dataset.series);
  const points = all(".point", svg).sort((a, b) => series(a) - series(b)); // painted last to first
  const tip = document.createElement("div");
  tip.className = "tip";
  tip.hidden = true;
  tip.setAttribute("aria-hidden", "true");
  figure.append(tip);
  const show = (point) => {
    const [box, frame] = [point.getBoundingClientRect(), figure.getBoundingClientRect()];
    tip.textContent = point.getAttribute("aria-label");
    tip.hidden = false;
    const left = clamp(box.left - frame.left - tip.offsetWidth / 2, 4, frame.width - tip.offsetWidth - 4);
    tip.style.left = `${left}px`;
    tip.style.top = `${box.top - frame.top - tip.offsetHeight - 8}px`;
    pick(svg, point.parentNode.dataset.series);
  };
  const hide = () => { tip.hidden = true; pick(svg, null); };
  points.forEach((point, i) => {
    const title = point.querySelector("title");
    point.setAttribute("role", "img");
    point.setAttribute("aria-label", title.textContent);
    point.setAttribute("tabindex", i ? "-1" : "0");
    title.remove(); // else the browser shows it as well
    point.addEventListener("pointerenter", () => show(point));
    point.addEventListener("pointerleave", hide);
    point.addEventListener("focus", () => {
      for (const other of points) other.setAttribute("tabindex", other === point ? "0" : "-1");
      show(point);
    });
    point.addEventListener("blur", hide);
  });
  svg.addEventListener("keydown", (event) => {
    const visible = points.filter((point) => !point.parentNode.classList.contains("off"));
    const at = visible.indexOf(document.activeElement);
    if (at < 0) return;
    let next = at;
    if (event.key === "ArrowRight") next = at + 1;
    else if (event.key === "ArrowLeft") next = at - 1;
    else if (event.key === "ArrowDown") next = visible.findIndex((p, i) => i > at && series(p) !== series(visible[at]));
    else if (event.key === "ArrowUp") next = visible.findLastIndex((p, i) => i < at && series(p) !== series(visible[at]));
    else if (event.key === "Escape") return hide();
    else return;
    event.preventDefault();
    visible[next]?.focus();
  });
}

function pick(svg, series) {
  svg.classList.toggle("picking", series !== null);
  for (const group of all("[data-series]", svg)) group.classList.toggle("picked", group.dataset.series === series);
}

// The legend hides and shows codecs in every figure.
function legend(list) {
  for (const item of list.children) {
    const name = item.firstElementChild;
    const series = name.querySelector("[data-series]").dataset.series;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...name.childNodes);
    button.setAttribute("aria-pressed", "true");
    name.replaceWith(button);
    const groups = all(`.figure [data-series="${series}"]`);
    button.addEventListener("click", () => {
      const shown = button.getAttribute("aria-pressed") === "false";
      button.setAttribute("aria-pressed", String(shown));
      for (const group of groups) group.classList.toggle("off", !shown);
    });
    const figures = all(".charts .figure");
    for (const [event, value] of [["pointerenter", series], ["pointerleave", null], ["focus", series], ["blur", null]]) {
      button.addEventListener(event, () => figures.forEach((svg) => pick(svg, value)));
    }
  }
}

themeSwitch(document.querySelector(".theme"));
all(".legend").forEach(legend);
all(".chart").forEach(chart);
for (const scene of all(".scene")) {
  const viewer = scene.querySelector(".viewer");
  if (viewer) new Viewer(scene);
  if (scene.querySelectorAll(".version:not(.map)").length > 1) new Crops(scene);
  else scene.querySelector(".versions").hidden = viewer !== null; // the viewer shows it
}
const thumbnails = document.querySelector(".thumbnails");
if (thumbnails) gallery(thumbnails, all(".gallery .scene"));
