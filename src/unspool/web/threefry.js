// Counter-based randomness, as in unspool/runtime/threefry.py: a uniform is a function of seed, row, sample and step.

import { Refused } from "./errors.js";

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24];

/** Threefry-2x32 with 20 rounds (Salmon et al. 2011): two words of a counter under a key of two words. */
export function threefry(k0, k1, x, y) {
  const keys = [k0 >>> 0, k1 >>> 0, (k0 ^ k1 ^ 0x1bd11bda) >>> 0];
  x = (x + keys[0]) >>> 0;
  y = (y + keys[1]) >>> 0;
  for (let round = 0; round < 20; round++) {
    const turn = ROTATIONS[round % 8];
    x = (x + y) >>> 0;
    y = (((y << turn) | (y >>> (32 - turn))) ^ x) >>> 0;
    if (round % 4 === 3) {
      const part = (round + 1) / 4;
      x = (x + keys[part % 3]) >>> 0;
      y = (y + keys[(part + 1) % 3] + part) >>> 0;
    }
  }
  return [x, y];
}

/** The function (step, count) -> uniforms, strictly inside (0, 1), of one sequence. */
export function uniformsOf(seed, row, sample) {
  let whole = null;
  try {
    whole = BigInt(seed);
  } catch { /* said below */ }
  if (whole === null || whole < 0n || whole >= 2n ** 64n) {
    throw new Refused(`seed=${seed}`, "an integer from 0 to 2**64 - 1", String(seed));
  }
  const key = threefry(Number(whole >> 32n), Number(whole & 0xffffffffn), row, sample);
  return (step, count) => Float64Array.from(
    { length: count }, (_, number) => ((threefry(key[0], key[1], step, number)[0] >>> 9) + 0.5) * 2 ** -23);
}
