/* The controls of the spike explorer: it steps through samples and time, and chooses neurons. */
class Explorer extends View {
  constructor(section, data) {
    super();
    this.section = section;
    this.data = data;
    this.sample = 0;
    this.step = 0;
    this.layer = Math.min(1, data.layers.length - 1);
    this.neuron = 0;
    this.timer = null;
    for (const layer of data.layers) {
      layer.spikes = layer.sent ? unpack(layer.sent) : null;
      layer.potentials = layer.held ? unpack(layer.held) : null;
      layer.largest = 1;
      if (layer.potentials) for (const v of layer.potentials) layer.largest = Math.max(layer.largest, Math.abs(v));
    }
    this.decisions = unpack(data.decision);
    this.picture = data.shown && data.shown.values ? unpack(data.shown.values) : null;
    this.app = section.querySelector(".app");
    this.build();
    this.listen();
    this.app.hidden = false;
    this.show();
  }

  build() {
    const { steps, samples } = this.data;
    this.samplePicker = make("select", { "aria-label": "sample" });
    samples.forEach((sample, at) => this.samplePicker.append(make("option", { value: at }, this.nameOf(sample))));
    this.slider = make("input", { type: "range", min: 0, max: steps - 1, value: 0, "aria-label": "time step" });
    this.play = make("button", { type: "button" }, "Play");
    const time = make("label", {}, "Step", this.slider, this.play);
    time.hidden = steps === 1;
    const back = make("button", { type: "button", "aria-label": "previous sample" }, "\u2039");
    const next = make("button", { type: "button", "aria-label": "next sample" }, "\u203a");
    back.addEventListener("click", () => this.goTo(this.sample - 1, this.step));
    next.addEventListener("click", () => this.goTo(this.sample + 1, this.step));
    const which = make("label", {}, "Sample", this.samplePicker);
    const controls = make("div", { class: "controls" }, back, which, next, time);

    this.now = make("p", { class: "now", "aria-live": "polite" });
    this.canvas = make("canvas", { class: "sample", role: "img" });
    this.seen = make("p", { class: "note" });
    const input = make("div", {}, make("h4", {}, "What enters"), this.canvas, this.seen);
    this.bars = make("ul", { class: "bars" });
    const decision = make("div", { class: "decision" }, make("h4", {}, "The decision"), this.bars);
    this.course = make("canvas", { class: "course", role: "img", width: 600, height: 110 });
    this.course.hidden = steps === 1;
    this.courseNote = make("p", { class: "note" }, "What each class has gathered, step by step; thick: the best now.");
    this.courseNote.hidden = steps === 1;
    decision.append(this.course, this.courseNote);

    this.layers = make("div", { class: "layers" });
    const hint = "Orange: spikes now. Blue: the stronger, the higher the potential. "
      + "Choose a neuron to see it below, and its core on the map.";
    this.layers.append(make("p", { class: "note" }, hint));
    this.canvases = this.data.layers.map((layer, index) => this.buildLayer(layer, index));
    this.layerPicker = make("select", { "aria-label": "layer" });
    this.data.layers.forEach((layer, at) => this.layerPicker.append(make("option", { value: at }, layer.name)));
    this.neuronPicker = make("input", { type: "number", min: 0, value: 0, "aria-label": "neuron" });
    this.told = make("p", { "aria-live": "polite" });
    this.trace = make("canvas", { class: "trace-of", role: "img", width: 600, height: 140 });
    const chosen = make("div", { class: "controls" });
    chosen.append(make("label", {}, "Layer", this.layerPicker), make("label", {}, "Neuron", this.neuronPicker));
    const stage = make("div", { class: this.data.shown ? "stage" : "stage alone" }, input, decision);
    this.app.append(controls, this.now, stage, this.layers);
    this.app.append(make("div", {}, make("h4", {}, "One neuron"), chosen, this.told, this.trace));
  }

  buildLayer(layer, index) {
    const words = `${layer.name}: ${number(layer.size)} ${index === 0 ? "inputs" : `neurons, ${layer.kind}`}`;
    const columns = Math.max(1, Math.min(layer.size, Math.ceil(Math.sqrt(layer.size * 4))));
    const rows = Math.ceil(layer.size / columns);
    const cell = Math.max(1, Math.min(14, Math.floor(640 / columns)));
    const label = `${words}; arrow keys choose a neuron`;
    const grid = make("canvas", { class: "spikes", tabindex: 0, role: "application", "aria-label": label });
    grid.width = columns * cell;
    grid.height = rows * cell;
    grid.addEventListener("click", (event) => {
      const box = grid.getBoundingClientRect();
      const x = Math.floor(((event.clientX - box.left) / box.width) * columns);
      const y = Math.floor(((event.clientY - box.top) / box.height) * rows);
      if (y * columns + x < layer.size) this.choose(index, y * columns + x);
    });
    grid.addEventListener("keydown", (event) => this.moveIn(event, index, columns));
    const grids = make("div", { class: "grids" }, grid);
    const raster = this.data.steps > 1 && layer.spikes ? this.buildRaster(layer, index) : null;
    if (raster) grids.append(raster);
    this.layers.append(make("div", { class: "layer" }, make("h4", {}, words), grids));
    return { grid, raster, columns, cell };
  }

  buildRaster(layer, index) {
    const wide = Math.max(2, Math.floor(480 / this.data.steps));
    const raster = make("canvas", { class: "spikes", role: "img", "aria-label": `spikes of ${layer.name} over time` });
    raster.width = wide * this.data.steps;
    raster.height = Math.max(40, Math.min(200, layer.size * 3));
    raster.addEventListener("click", (event) => {
      const box = raster.getBoundingClientRect();
      const step = Math.floor(((event.clientX - box.left) / box.width) * this.data.steps);
      this.choose(index, Math.min(layer.size - 1, Math.floor(((event.clientY - box.top) / box.height) * layer.size)));
      this.goTo(this.sample, step);
    });
    return raster;
  }

  listen() {
    this.samplePicker.addEventListener("change", () => this.goTo(Number(this.samplePicker.value), this.step));
    this.slider.addEventListener("input", () => this.goTo(this.sample, Number(this.slider.value)));
    this.play.addEventListener("click", () => this.toggle());
    this.layerPicker.addEventListener("change", () => this.choose(Number(this.layerPicker.value), 0));
    this.neuronPicker.addEventListener("input", () => this.choose(this.layer, Number(this.neuronPicker.value)));
    this.app.addEventListener("keydown", (event) => {
      if (event.target !== this.app || event.altKey || event.ctrlKey || event.metaKey) return;
      const along = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      const across = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (along === undefined && across === undefined) return;
      event.preventDefault();
      if (across !== undefined || this.data.steps === 1) this.goTo(this.sample + (across || along), this.step);
      else this.goTo(this.sample, this.step + along);
    });
    for (const square of this.section.querySelectorAll("rect[data-core]")) {
      square.addEventListener("click", () => this.chooseCore(Number(square.dataset.core)));
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.show());
  }

  moveIn(event, index, columns) {
    const moves = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: columns, ArrowUp: -columns };
    if (!(event.key in moves)) return;
    event.preventDefault();
    this.choose(index, (this.layer === index ? this.neuron : 0) + moves[event.key]);
  }

  toggle() {
    if (this.timer === null) {
      this.play.textContent = "Pause";
      this.timer = setInterval(() => {
        const last = this.step + 1 >= this.data.steps;
        this.goTo(last ? (this.sample + 1) % this.data.samples.length : this.sample, last ? 0 : this.step + 1);
      }, 300);
    } else {
      clearInterval(this.timer);
      this.timer = null;
      this.play.textContent = "Play";
    }
  }

  goTo(sample, step) {
    this.sample = Math.max(0, Math.min(this.data.samples.length - 1, sample));
    this.step = Math.max(0, Math.min(this.data.steps - 1, step));
    this.show();
  }

  choose(layer, neuron) {
    this.layer = layer;
    this.neuron = Math.max(0, Math.min(this.data.layers[layer].size - 1, Math.floor(neuron) || 0));
    this.show();
  }

  chooseCore(core) {
    this.data.layers.some((layer, index) => {
      const place = (layer.places || []).find((entry) => entry[2] === core);
      if (place) this.choose(index, place[0]);
      return Boolean(place);
    });
  }
}

for (const section of document.querySelectorAll(".explorer")) {
  const data = document.getElementById(section.dataset.source);
  if (data) new Explorer(section, JSON.parse(data.textContent));
}
