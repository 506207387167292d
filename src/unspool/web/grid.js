// Where the values of a column with a grid (whole numbers, cents) lie on the network's axis; constants are float32.

import { clip, fround, rint, searchSorted } from "./maths.js";

const MOST_FLOAT_EXPONENT = 60, SLACK = 0.05;

export class Grid {
  constructor(transform, unit, loc, scale, step) {
    Object.assign(this, { transform, unit: fround(unit), loc: fround(loc), scale: fround(scale), step: fround(step) });
  }

  toOriginal(z) {
    const y = z * this.scale + this.loc;
    if (this.transform === "log1p") return this.unit * Math.expm1(clip(y, -MOST_FLOAT_EXPONENT, MOST_FLOAT_EXPONENT));
    if (this.transform === "asinh") return this.unit * Math.sinh(clip(y, -MOST_FLOAT_EXPONENT, MOST_FLOAT_EXPONENT));
    return y;
  }

  toNetwork(x) {
    if (this.transform === "log1p") x = Math.log1p(Math.max(x / this.unit, -0.999));
    else if (this.transform === "asinh") x = Math.asinh(x / this.unit);
    return (x - this.loc) / this.scale;
  }

  endToNetwork(x) {
    return Number.isFinite(x) ? this.toNetwork(x) : x;
  }

  /** The nearest value of the grid, in original units. */
  cell(z) {
    return rint(this.toOriginal(z) / this.step) * this.step;
  }

  snap(z) {
    return this.toNetwork(this.cell(z));
  }

  /** A support reduced to the grid's values in it: from edge to edge of their cells, and from first to last. */
  cellsWithin(support) {
    const { low, high } = support, half = this.step / 2;
    const first = Math.ceil(this.toOriginal(low) / this.step - SLACK) * this.step;
    const last = Math.floor(this.toOriginal(high) / this.step + SLACK) * this.step;
    const within = (lowest, highest) => ({
      ...support, low: Number.isFinite(low) ? this.toNetwork(lowest) : low,
      high: Number.isFinite(high) ? this.toNetwork(highest) : high,
    });
    return { edges: within(first - half, last + half), values: within(first, last) };
  }

  width(x) {
    if (this.transform === "log1p") {
      return Math.log1p(this.step / Math.max(this.unit + x - this.step / 2, 1e-3 * this.unit)) / this.scale;
    }
    if (this.transform === "asinh") return this.toNetwork(x + this.step / 2) - this.toNetwork(x - this.step / 2);
    return this.step / this.scale;
  }
}

/** The few values of a grid that ever occur; each has the cell that reaches half-way to its neighbours. */
export class SupportPoints {
  constructor(grid, values, edges) {
    Object.assign(this, { grid, values: Float64Array.from(values, fround), edges: Float64Array.from(edges, fround) });
  }

  snap(z) {
    return this.grid.toNetwork(this.values[searchSorted(this.edges, z)]);
  }

  cellsWithin(support) {
    const slip = SLACK * this.grid.step, last = this.values.length - 1;
    let from = searchSorted(this.values, this.grid.toOriginal(support.low) - slip);
    let to = searchSorted(this.values, this.grid.toOriginal(support.high) + slip, true) - 1;
    from = clip(from, 0, last);
    to = clip(to, 0, last);
    const edges = [-Infinity, ...this.edges, Infinity];
    const [low, high] = [from, to].map(k => this.grid.toNetwork(this.values[k]));
    return { edges: { ...support, low: edges[from], high: edges[to + 1] }, values: { ...support, low, high } };
  }
}
