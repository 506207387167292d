// Mathematics that JavaScript lacks, in double precision; the network's own numbers are rounded to float32.

export const fround = Math.fround;
export const TINY = 1e-30;

/** 1 / (1 + exp(-x)), exact in both tails. */
export function sigmoid(x) {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

export function softplus(x) {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

export function logSigmoid(x) {
  return -softplus(-x);
}

export function logSumExp(values) {
  let top = -Infinity;
  for (let i = 0; i < values.length; i++) if (values[i] > top) top = values[i];
  if (!Number.isFinite(top)) return top;
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += Math.exp(values[i] - top);
  return top + Math.log(sum);
}

export function softmax(logits) {
  const whole = logSumExp(logits), shares = new Float64Array(logits.length);
  for (let i = 0; i < shares.length; i++) shares[i] = Math.exp(logits[i] - whole);
  return shares;
}

/** The position of the first largest value. */
export function argmax(values) {
  let best = 0;
  for (let i = 1; i < values.length; i++) if (values[i] > values[best]) best = i;
  return best;
}

/** Rounded, halves to the even neighbour, as NumPy rounds. */
export function rint(x) {
  const down = Math.floor(x), rest = x - down;
  if (rest !== 0.5) return Math.round(x);
  return down % 2 === 0 ? down : down + 1;
}

/** Rounded to so many decimals, as NumPy rounds: multiplied, rounded, divided. */
export function roundTo(x, decimals) {
  const power = 10 ** decimals;
  return rint(x * power) / power;
}

/** The value, or the nearest end; NaN stays, and the upper end wins as in NumPy. */
export function clip(x, low, high) {
  return Number.isNaN(x) ? x : Math.min(Math.max(x, low), high);
}

export function mod(x, period) {
  return x - period * Math.floor(x / period);
}

/** How many of the rising values are below x (`left`), or not above it. */
export function searchSorted(values, x, right = false) {
  let low = 0, high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (right ? values[middle] <= x : values[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Add the product of a vector with a row-major matrix to `out`: `out[k] += sum_i x[i] W[i, k]`. */
export function addProduct(out, x, W, columns) {
  let i = 0;
  // Four rows at a time: `out` is read and written a quarter as often, which takes half the time.
  for (; i + 4 <= x.length; i += 4) {
    const first = i * columns, second = first + columns, third = second + columns, fourth = third + columns;
    const [x0, x1, x2, x3] = [x[i], x[i + 1], x[i + 2], x[i + 3]];
    for (let k = 0; k < columns; k++) out[k] += x0 * W[first + k] + x1 * W[second + k] + x2 * W[third + k] + x3 * W[fourth + k];
  }
  for (; i < x.length; i++) for (let k = 0, at = i * columns; k < columns; k++) out[k] += x[i] * W[at + k];
  return out;
}

/** erfc(x) of x >= 0: a series of positive terms near zero, else a continued fraction. */
function erfcPositive(x) {
  if (x < 2.5) {
    let term = x, sum = x;
    for (let n = 1; term > sum * 1e-17; n++) sum += term *= (2 * x * x) / (2 * n + 1);
    return 1 - (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
  }
  let tail = 0;
  for (let n = 60; n > 0; n--) tail = n / 2 / (x + tail);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / (x + tail);
}

/** The standard normal's probability below x. */
export function ndtr(x) {
  const half = erfcPositive(Math.abs(x) / Math.SQRT2) / 2;
  return x < 0 ? half : 1 - half;
}

const NEAR = [[-59.96335010141079, 98.00107541859997, -56.67628574690703, 13.931260938727968, -1.2391658386738125],
  [1, 1.9544885833814176, 4.676279128988815, 86.36024213908905, -225.46268785411937, 200.26021238006066,
    -82.03722561683334, 15.90562251262117, -1.1833162112133]];
const MIDDLE = [[4.0554489230596245, 31.525109459989388, 57.16281922464213, 44.08050738932008, 14.684956192885803,
  2.1866330685079025, -0.1402560791713545, -0.03504246268278482, -0.0008574567851546854],
[1, 15.779988325646675, 45.39076351288792, 41.3172038254672, 15.04253856929075, 2.504649462083094,
  -0.14218292285478779, -0.03808064076915783, -0.0009332594808954574]];
const FAR = [[3.2377489177694603, 6.915228890689842, 3.9388102529247444, 1.3330346081580755, 0.20148538954917908,
  0.012371663481782003, 0.00030158155350823543, 2.6580697468673755e-06, 6.239745391849833e-09],
[1, 6.02427039364742, 3.6798356385616087, 1.3770209948908132, 0.21623699359449663, 0.013420400608854318,
  0.00032801446468212774, 2.8924786474538068e-06, 6.790194080099813e-09]];

function polynomial(x, coefficients) {
  return coefficients.reduce((sum, c) => sum * x + c, 0);
}

/** The standard normal quantile (Moshier, Cephes). */
export function ndtri(p) {
  if (p <= 0) return -Infinity;
  if (p >= 1) return Infinity;
  const upper = p > 1 - Math.exp(-2), y = upper ? 1 - p : p;
  if (y > Math.exp(-2)) {
    const w = y - 0.5, square = w * w;
    return (w + w * square * (polynomial(square, NEAR[0]) / polynomial(square, NEAR[1]))) * Math.sqrt(2 * Math.PI);
  }
  const x = Math.sqrt(-2 * Math.log(y)), z = 1 / x, [top, bottom] = x < 8 ? MIDDLE : FAR;
  const found = x - Math.log(x) / x - (z * polynomial(z, top)) / polynomial(z, bottom);
  return upper ? found : -found;
}

const LANCZOS = [676.5203681218851, -1259.1392167224028, 771.3234287776531, -176.6150291621406, 12.507343278686905,
  -0.13857109526572012, 9.984369578019572e-06, 1.5056327351493116e-07];

export function logGamma(x) {
  if (x < 0.5) return Math.log(Math.PI / Math.sin(Math.PI * x)) - logGamma(1 - x);
  const y = x - 1;
  const sum = LANCZOS.reduce((part, c, i) => part + c / (y + i + 1), 0.9999999999998099);
  return 0.5 * Math.log(2 * Math.PI) + (y + 0.5) * Math.log(y + 7.5) - (y + 7.5) + Math.log(sum);
}

/** The regularized incomplete beta function, by its continued fraction (Lentz). */
export function betaInc(a, b, x) {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - betaInc(b, a, 1 - x);
  const front = Math.exp(
    logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  let c = 1, d = 1 / (1 - ((a + b) * x) / (a + 1)), found = d;
  for (let m = 1; m < 400; m++) {
    const even = (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m));
    d = 1 / (1 + even * d); c = 1 + even / c; found *= d * c;
    const odd = (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + odd * d); c = 1 + odd / c;
    found *= d * c;
    if (Math.abs(d * c - 1) < 1e-15) break;
  }
  return front * found;
}
