"use strict";
/* What the spike explorer shows: reads the samples that are embedded in the page, and draws them. Text is written only
   as text, and nothing is asked of the network. */
const MOST_CLASSES = 10;
const SVG = "http://www.w3.org/2000/svg";

/* The inverse of `pack` in Python: {dtype, shape, base64} -> numbers, in C order. */
function unpack(entry) {
  const text = atob(entry.base64);
  const bytes = Uint8Array.from(text, (letter) => letter.charCodeAt(0));
  const size = entry.shape.reduce((product, n) => product * n, 1);
  const values = new Float64Array(size);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < size; i += 1) {
    if (entry.dtype === "bits") values[i] = (bytes[i >> 3] >> (7 - (i & 7))) & 1;
    else if (entry.dtype === "uint8") values[i] = bytes[i];
    else if (entry.dtype === "int32") values[i] = view.getInt32(4 * i, true);
    else values[i] = view.getUint32(8 * i, true) + 2 ** 32 * view.getInt32(8 * i + 4, true);
  }
  return values;
}

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function drawn(tag, attributes) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

const number = (value) => value.toLocaleString("en", { maximumFractionDigits: 2 });
const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/* The core that holds a neuron: slices are [start, stop, core, runs, stride], as in a program. */
function coreOf(layer, neuron) {
  for (const [start, stop, core, runs, stride] of layer.places || []) {
    for (let run = 0; run < runs; run += 1) {
      if (neuron >= start + run * stride && neuron < stop + run * stride) return core;
    }
  }
  return null;
}

/* A view of samples: `data` as Python embeds it, and which sample, step, layer and neuron is shown. */
class View {
  /* A layer's value of a neuron at a step of the sample shown. */
  at(values, layer, neuron, step = this.step) {
    return values[(this.sample * this.data.steps + step) * layer.size + neuron];
  }

  nameOf(sample) {
    if (sample.class === null) return `${sample.index}: taken for ${sample.decided}`;
    return `${sample.index}: ${sample.class}${sample.right ? "" : `, taken for ${sample.decided}`}`;
  }

  show() {
    this.samplePicker.value = this.sample;
    this.slider.value = this.step;
    this.layerPicker.value = this.layer;
    this.neuronPicker.max = this.data.layers[this.layer].size - 1;
    if (document.activeElement !== this.neuronPicker) this.neuronPicker.value = this.neuron;
    this.showNow();
    this.showInput();
    this.showDecision();
    this.canvases.forEach((canvas, index) => this.showLayer(canvas, index));
    this.showNeuron();
  }

  logits(step = this.step) {
    const [, steps, classes] = this.data.decision.shape;
    const from = (this.sample * steps + step) * classes;
    return Array.from(this.decisions.subarray(from, from + classes));
  }

  showNow() {
    const { steps, samples, step_us: stepUs, classes } = this.data;
    const sample = samples[this.sample];
    const logits = this.logits();
    const best = classes[logits.indexOf(Math.max(...logits))] ?? "-";
    const when = stepUs ? ` (${number((this.step + 1) * stepUs / 1000)} ms)` : "";
    const time = steps > 1 ? `, step ${this.step + 1} of ${steps}${when}: so far ${best}` : "";
    const truth = sample.class === null ? "" : `, class ${sample.class}`;
    const verdict = sample.right === null ? "" : sample.right ? " (correct)" : " (wrong)";
    this.now.textContent = `Sample ${sample.index}${truth}${time}; in the end ${sample.decided}${verdict}`;
  }

  showInput() {
    const shown = this.data.shown;
    const box = this.canvas.parentElement;
    box.hidden = !shown;
    if (!shown) return;
    const context = this.canvas.getContext("2d");
    if (shown.kind === "events") this.showEvents(context, shown.shape);
    else if (shown.kind === "image") this.showImage(context, shown);
    else this.showNumbers(context, shown);
    this.canvas.setAttribute("aria-label", `sample ${this.data.samples[this.sample].index}: ${this.seen.textContent}`);
  }

  showEvents(context, [channels, height, width]) {
    this.canvas.width = width;
    this.canvas.height = height;
    context.fillStyle = colour("--card");
    context.fillRect(0, 0, width, height);
    const input = this.data.layers[0];
    let count = 0;
    for (let place = 0; place < input.size; place += 1) {
      if (!this.at(input.spikes, input, place)) continue;
      count += 1;
      const polarity = Math.floor(place / (height * width));
      context.fillStyle = colour(channels === 2 && polarity === 0 ? "--dark" : "--on");
      const within = place % (height * width);
      context.fillRect(within % width, Math.floor(within / width), 1, 1);
    }
    const colours = channels === 2 ? "; orange brighter, blue darker" : "";
    this.seen.textContent = `events of this step, ${width} x ${height} pixels${colours}: ${number(count)}`;
  }

  showImage(context, shown) {
    const [height, width, channels] = shown.shape;
    this.canvas.width = width;
    this.canvas.height = height;
    const image = context.createImageData(width, height);
    const from = this.sample * height * width * channels;
    for (let pixel = 0; pixel < height * width; pixel += 1) {
      for (let c = 0; c < 3; c += 1) {
        image.data[4 * pixel + c] = this.picture[from + pixel * channels + (channels === 3 ? c : 0)];
      }
      image.data[4 * pixel + 3] = 255;
    }
    context.putImageData(image, 0, 0);
    this.seen.textContent = `${width} x ${height} pixels, from ${number(shown.low)} to ${number(shown.high)}`;
  }

  showNumbers(context, shown) {
    const size = shown.shape.reduce((product, n) => product * n, 1);
    this.canvas.width = 240;
    this.canvas.height = 110;
    context.clearRect(0, 0, 240, 110);
    context.fillStyle = context.strokeStyle = colour("--c0");
    const wide = 240 / size;
    context.beginPath();
    for (let i = 0; i < size; i += 1) {
      const high = (this.picture[this.sample * size + i] / 255) * 106 + 2;
      if (wide > 4) context.fillRect(i * wide, 110 - high, wide - 1, high);
      else context.lineTo((i + 0.5) * wide, 110 - high);
    }
    context.stroke();
    this.seen.textContent = `${number(size)} numbers, from ${number(shown.low)} to ${number(shown.high)}`;
  }

  showDecision() {
    const logits = this.logits();
    const order = logits.map((_, index) => index).sort((a, b) => logits[b] - logits[a]);
    const chosen = new Set(order.slice(0, MOST_CLASSES));
    const low = Math.min(0, ...logits);
    const span = Math.max(...logits, 0) - low || 1;
    const rows = [...chosen].sort((a, b) => a - b).map((index) => {
      const bar = drawn("svg", { class: "bar", "aria-hidden": "true" });
      const from = ((Math.min(0, logits[index]) - low) / span) * 100;
      const wide = (Math.abs(logits[index]) / span) * 100;
      bar.append(drawn("rect", { class: "rest", x: `${from}%`, width: `${wide}%`, height: "100%" }));
      const name = make("span", { class: "name" }, this.data.classes[index] ?? String(index));
      const row = make("li", index === order[0] ? { class: "best" } : {}, name, bar);
      row.append(make("span", {}, number(logits[index] / this.logitUnit())));
      return row;
    });
    this.bars.replaceChildren(...rows);
    if (this.data.steps > 1) this.showCourse(order);
  }

  logitUnit() {
    const readout = this.data.layers[this.data.layers.length - 1];
    return readout.sent ? 1 : readout.unit;
  }

  /* The decision over time: a line a class, that of the last decision thick. */
  showCourse(order) {
    const context = this.course.getContext("2d");
    const { width, height } = this.course;
    const all = Array.from({ length: this.data.steps }, (_, step) => this.logits(step));
    const low = Math.min(...all.map((row) => Math.min(...row)));
    const high = Math.max(...all.map((row) => Math.max(...row)));
    const x = (step) => ((step + 0.5) / this.data.steps) * width;
    const y = (value) => height - 6 - ((value - low) / (high - low || 1)) * (height - 12);
    context.clearRect(0, 0, width, height);
    for (const index of order.slice(0, MOST_CLASSES).reverse()) {
      context.strokeStyle = colour(index === order[0] ? "--c5" : "--c0");
      context.lineWidth = index === order[0] ? 3 : 1;
      context.beginPath();
      all.forEach((row, step) => context.lineTo(x(step), y(row[index])));
      context.stroke();
    }
    this.cursor(context, x(this.step), height);
    const best = this.data.classes[order[0]] ?? String(order[0]);
    this.course.setAttribute("aria-label", `what each class has gathered, step by step; thick: ${best}, the best now`);
  }

  cursor(context, x, height) {
    context.strokeStyle = colour("--fg");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(x, 0);
    context.lineTo(x, height);
    context.stroke();
  }

  showLayer({ grid, raster, columns, cell }, index) {
    const layer = this.data.layers[index];
    const context = grid.getContext("2d");
    context.clearRect(0, 0, grid.width, grid.height);
    const [off, on, held] = [colour("--off"), colour("--on"), colour("--c0")];
    for (let neuron = 0; neuron < layer.size; neuron += 1) {
      const x = (neuron % columns) * cell;
      const y = Math.floor(neuron / columns) * cell;
      const side = cell > 3 ? cell - 1 : cell;
      const fired = layer.spikes && this.at(layer.spikes, layer, neuron);
      context.fillStyle = fired ? on : off;
      context.fillRect(x, y, side, side);
      const v = layer.potentials ? this.at(layer.potentials, layer, neuron) : 0;
      if (!fired && v > 0) {
        context.globalAlpha = v / layer.largest;
        context.fillStyle = held;
        context.fillRect(x, y, side, side);
        context.globalAlpha = 1;
      }
    }
    if (index === this.layer) this.frame(context, columns, cell);
    if (raster) this.showRaster(raster, layer, index);
  }

  frame(context, columns, cell) {
    context.strokeStyle = colour("--fg");
    context.lineWidth = 2;
    const x = (this.neuron % columns) * cell;
    context.strokeRect(x, Math.floor(this.neuron / columns) * cell, Math.max(3, cell - 1), Math.max(3, cell - 1));
  }

  showRaster(raster, layer, index) {
    const context = raster.getContext("2d");
    const wide = raster.width / this.data.steps;
    const high = raster.height / layer.size;
    context.clearRect(0, 0, raster.width, raster.height);
    context.fillStyle = colour("--c0");
    for (let step = 0; step < this.data.steps; step += 1) {
      for (let neuron = 0; neuron < layer.size; neuron += 1) {
        if (!this.at(layer.spikes, layer, neuron, step)) continue;
        context.fillRect(step * wide, neuron * high, Math.max(1, wide - 1), Math.max(1, high));
      }
    }
    if (index === this.layer) {
      context.fillStyle = colour("--on");
      context.fillRect(0, (this.neuron + 0.5) * high - 1, 5, 2);
    }
    this.cursor(context, (this.step + 0.5) * wide, raster.height);
  }

  showNeuron() {
    const layer = this.data.layers[this.layer];
    const core = coreOf(layer, this.neuron);
    const words = [`${layer.name}, neuron ${this.neuron}${core === null ? "" : `, on core ${core}`}`];
    const threshold = this.threshold(layer);
    if (layer.potentials) words.push(`potential ${number(this.at(layer.potentials, layer, this.neuron) / layer.unit)}`);
    if (threshold !== null) {
      words.push(layer.strict ? `spikes above ${number(threshold)}` : `spikes from ${number(threshold)} on`);
    }
    if (layer.spikes) {
      const sent = this.at(layer.spikes, layer, this.neuron);
      words.push(sent === 0 ? "no spike now" : sent === 1 ? "spikes now" : `sends ${number(sent)} now`);
      words.push(this.often(layer));
    }
    this.told.textContent = words.join("; ");
    for (const square of this.section.querySelectorAll("rect[data-core]")) {
      square.classList.toggle("chosen", Number(square.dataset.core) === core);
    }
    this.trace.hidden = this.data.steps === 1 || !layer.potentials;
    if (!this.trace.hidden) this.showTrace(layer, threshold);
  }

  threshold(layer) {
    if (layer.threshold === null || layer.threshold === undefined) return null;
    return Array.isArray(layer.threshold) ? layer.threshold[this.neuron] : layer.threshold;
  }

  often(layer) {
    const { samples, steps } = this.data;
    let fired = 0;
    for (let row = 0; row < samples.length * steps; row += 1) {
      if (layer.spikes[row * layer.size + this.neuron]) fired += 1;
    }
    return `spikes in ${fired} of ${samples.length * steps} ${steps > 1 ? "steps" : "samples"} here`;
  }

  showTrace(layer, threshold) {
    const context = this.trace.getContext("2d");
    const { width, height } = this.trace;
    const values = Array.from({ length: this.data.steps }, (_, step) =>
      this.at(layer.potentials, layer, this.neuron, step) / layer.unit);
    const marks = threshold === null ? values : [...values, threshold];
    const low = Math.min(...marks);
    const high = Math.max(...marks);
    const x = (step) => ((step + 0.5) / this.data.steps) * width;
    const y = (value) => height - 8 - ((value - low) / (high - low || 1)) * (height - 16);
    context.clearRect(0, 0, width, height);
    context.strokeStyle = colour("--c0");
    context.lineWidth = 2;
    context.beginPath();
    values.forEach((value, step) => context.lineTo(x(step), y(value)));
    context.stroke();
    context.fillStyle = colour("--on");
    values.forEach((value, step) => {
      if (!layer.spikes || !this.at(layer.spikes, layer, this.neuron, step)) return;
      context.beginPath();
      context.arc(x(step), y(value), 4, 0, 2 * Math.PI);
      context.fill();
    });
    if (threshold !== null) {
      context.setLineDash([5, 4]);
      this.cursorAcross(context, y(threshold), width);
      context.setLineDash([]);
    }
    this.cursor(context, x(this.step), height);
    const range = `from ${number(low)} to ${number(high)}`;
    this.trace.setAttribute("aria-label", `its potential over the steps of the sample, ${range}; dots are spikes`);
  }

  cursorAcross(context, y, width) {
    context.strokeStyle = colour("--fg");
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(0, y);
    context.lineTo(width, y);
    context.stroke();
  }
}
