// The reader of .unspool files (docs/format.md), as strict as unspool/modelfile.py: every size is checked before use.

import { Refused, listed } from "./errors.js";
import { parseJson } from "./json.js";

const KEY = "unspool", HEADER_LIMIT = 100_000_000, FORMAT = 2, RESAVE = "Save the model again, or fetch the file again.";
const BYTES = { F64: 8, F32: 4, I64: 8, I32: 4, U64: 8, U32: 4, U8: 1 };

/** The number in the 16 bits of a float16: sign, five bits of exponent, ten of mantissa. */
function half(bits) {
  const exponent = (bits >> 10) & 31, mantissa = bits & 1023, sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + mantissa / 1024) * 2 ** (exponent - 15) : (mantissa / 1024) * 2 ** -14);
}

/**
 * The configuration of a file's bytes, and its arrays by name: `{shape, values}`, values a Float32Array.
 *
 * Arrays are of the type `weights`: F32 in every model file, and F16 in pages that say so.
 */
export function readFile(data, location = "the model", weights = "F32") {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  if (bytes.length < 8) throw new Refused(location, "at least 8 bytes", String(bytes.length), RESAVE);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length > 8 && bytes[8] !== 0x7b) throw new Refused(location, "an Unspool model", "a file of another kind");
  const length = view.getBigUint64(0, true);
  if (length > HEADER_LIMIT) {
    throw new Refused(location, `a header of at most ${HEADER_LIMIT} bytes`, `one of ${length}`, RESAVE);
  }
  const start = 8 + Number(length);
  if (start > bytes.length) throw new Refused(location, `a header of ${length} bytes`, `${bytes.length - 8}`, RESAVE);
  const header = parseJson(utf8(bytes.subarray(8, start), location), location);
  const metadata = header.__metadata__;
  if (!isObject(metadata) || !(KEY in metadata)) {
    throw new Refused(location, "an Unspool model", "a safetensors file of something else");
  }
  if (Object.keys(metadata).length !== 1 || typeof metadata[KEY] !== "string") {
    throw new Refused(location, `the one text "${KEY}" as metadata`, listed(Object.keys(metadata)), RESAVE);
  }
  if (/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(metadata[KEY])) {
    throw new Refused(location, "a configuration in Unicode", "half of a surrogate pair", RESAVE);
  }
  const config = parseJson(metadata[KEY], `${location}: configuration`);
  if (!isObject(config) || !Number.isSafeInteger(config.format) || config.format < 1) {
    throw new Refused(`${location}: configuration`, "the configuration of a model", "another one", RESAVE);
  }
  if (config.format !== FORMAT) {
    const hint = config.format > FORMAT ? "Upgrade Unspool." : "Load it in Python, and save it again.";
    throw new Refused(location, `a model file of format ${FORMAT}`, `format ${config.format}`, hint);
  }
  return { config, arrays: readArrays(header, view, start, location, weights) };
}

function readArrays(header, view, start, location, weights) {
  const bytes = weights === "F16" ? { ...BYTES, F16: 2 } : BYTES;
  const entries = Object.keys(header).filter(name => name !== "__metadata__").map(name => {
    const where = `${location}: tensor ${JSON.stringify(name)}`, entry = header[name];
    const [dtype, shape, offsets] = checkEntry(entry, where, bytes);
    return { name, where, dtype, shape, first: offsets[0], last: offsets[1] };
  });
  entries.sort((a, b) => a.first - b.first || a.last - b.last);
  let expected = 0;
  for (const { where, first, last } of entries) {
    if (first !== expected) {
      throw new Refused(where, `its bytes to start at ${expected}`, first < expected ? "an overlap" : "a gap", RESAVE);
    }
    expected = last;
  }
  const available = view.byteLength - start;
  if (expected !== available) {
    throw new Refused(location, `${expected} bytes of tensors`, `${available}`, RESAVE);
  }
  const arrays = new Map();
  for (const { name, where, dtype, shape, first } of entries) {
    if (dtype !== weights) throw new Refused(where, `numbers of ${weights}`, dtype, RESAVE);
    const values = new Float32Array(shape.reduce((product, size) => product * size, 1));
    let wrong = 0;
    for (let i = 0; i < values.length; i++) {
      values[i] = weights === "F16" ? half(view.getUint16(start + first + 2 * i, true)) : view.getFloat32(start + first + 4 * i, true);
      if (!Number.isFinite(values[i])) wrong++;
    }
    if (wrong) throw new Refused(where, "finite numbers", `${wrong} of ${values.length} NaN or infinite`);
    arrays.set(name, { shape, values });
  }
  return arrays;
}

function checkEntry(entry, where, bytes) {
  const isSize = size => Number.isSafeInteger(size) && size >= 0;
  const known = isObject(entry) && Object.keys(entry).sort().join() === "data_offsets,dtype,shape";
  const { dtype, shape, data_offsets: offsets } = known ? entry : {};
  if (!known || typeof dtype !== "string" || !Array.isArray(shape) || shape.length > 8 || !shape.every(isSize)
    || !Array.isArray(offsets) || offsets.length !== 2 || !offsets.every(isSize)) {
    throw new Refused(where, "dtype, shape and data_offsets", "others", RESAVE);
  }
  if (!Object.hasOwn(bytes, dtype)) throw new Refused(where, "a dtype of " + Object.keys(bytes).join(", "), dtype, RESAVE);
  const needed = shape.reduce((product, size) => product * size, bytes[dtype]);
  if (!Number.isSafeInteger(needed) || needed !== offsets[1] - offsets[0]) {
    throw new Refused(where, `${offsets[1] - offsets[0]} bytes`, `a shape of ${shape.join("x")}`, RESAVE);
  }
  return [dtype, shape, offsets];
}

function utf8(bytes, location) {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new Refused(`${location}: header`, "text in UTF-8", "other bytes", RESAVE);
  }
}

export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The arrays of one network: an error about any that is missing, left over, or of another shape. */
export class Arrays {
  constructor(arrays, location) {
    Object.assign(this, { left: new Map(arrays), names: [...arrays.keys()], location });
  }

  take(name, ...shape) {
    const found = this.left.get(name);
    this.left.delete(name);
    if (!found || found.shape.join() !== shape.join()) {
      const what = found ? `a shape of ${found.shape.join("x")}` : "none";
      throw new Refused(`${this.location}: tensor ${JSON.stringify(name)}`, `a shape of ${shape.join("x")}`, what, RESAVE);
    }
    return found.values;
  }

  /** Whether there is one of this name and shape. */
  has(name, ...shape) {
    return this.left.get(name)?.shape.join() === shape.join();
  }

  /** Whether there are any whose names begin so. */
  some(start) {
    return this.names.some(name => name.startsWith(start));
  }

  done() {
    if (this.left.size) {
      throw new Refused(this.location, "the arrays that its own configuration asks for",
        `others: ${listed([...this.left.keys()], 3)}`, RESAVE);
    }
  }
}
