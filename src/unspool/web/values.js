// Values of a user: transforms of numbers, dates as whole microseconds, and texts cut into words or pieces of bytes.

import { Refused } from "./errors.js";
import { clip } from "./maths.js";

const LARGEST = Number.MAX_VALUE, MOST_EXPONENT = 700;
export const DAY = 86_400_000_000;
export const EARLIEST = -62_135_596_800_000_000n, LATEST = 253_402_300_799_000_000n;

/** The y of x, for any transform of a number. */
export function forward(x, transform, unit) {
  if (transform === "log1p") return Math.log1p(x / unit);
  if (transform === "asinh") return Math.asinh(x / unit);
  return transform === "log_return" ? Math.log(x) : x;
}

/** The x of y; the largest number in place of an infinite one. */
export function inverse(y, transform, unit) {
  const inverses = { log1p: Math.expm1, asinh: Math.sinh, log_return: Math.exp };
  if (!Object.hasOwn(inverses, transform)) return clip(y, -LARGEST, LARGEST);
  return clip(inverses[transform](clip(y, -MOST_EXPONENT, MOST_EXPONENT)) * unit, -LARGEST, LARGEST);
}

export function isLegal(x, transform, unit) {
  return transform === "log1p" ? x > -unit : transform === "log_return" ? x > 0 : true;
}

const DATE = /^\s*(\d{4})-(\d{2})-(\d{2})(?:[T ](\d{2}):(\d{2})(?::(\d{2})(?:\.(\d{1,6}))?)?)?(?:Z|\+00:00)?\s*$/;

/** Microseconds since 1970 of an ISO text or a Date, as a BigInt; a `Refused` for what is no date. */
export function parseDate(value, location) {
  if (typeof value === "bigint") return value;
  const text = value instanceof Date ? value.toISOString() : String(value), found = DATE.exec(text);
  if (found) {
    const [year, month, day, hour, minute, second] = found.slice(1, 7).map(part => Number(part ?? 0));
    const date = new Date(Date.UTC(2000, month - 1, day, hour, minute, second));
    date.setUTCFullYear(year, month - 1, day);
    if (date.getUTCMonth() === month - 1 && date.getUTCDate() === day && hour < 24 && minute < 60 && second < 60) {
      return BigInt(date.getTime()) * 1000n + BigInt((found[7] ?? "").padEnd(6, "0"));
    }
  }
  throw new Refused(location, "a date such as 2026-01-31 or 2026-01-31T12:30:00", JSON.stringify(text));
}

/** A date as ISO text, without the time at midnight. */
export function writeDate(microseconds) {
  const micro = ((microseconds % 1_000_000n) + 1_000_000n) % 1_000_000n;
  const date = new Date(Number((microseconds - micro) / 1000n)), [day, rest] = date.toISOString().split("T");
  const time = rest.slice(0, 8) + (micro ? "." + String(micro).padStart(6, "0") : "");
  return time === "00:00:00" ? day : `${day}T${time}`;
}

const SPACE = "\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const LETTER = "\\p{L}\\p{N}_";
const WORD = new RegExp(
  ` ?[${LETTER}]+(?:['’][${LETTER}]+)*| ?[^${LETTER}${SPACE}]+|[${SPACE}]+(?![^${SPACE}])|[${SPACE}]`, "gu");

/** The symbols' texts of a text: its characters, its words, or its pieces of bytes. */
export function tokenize(text, unit, vocabulary) {
  if (unit === "char") return Array.from(text);
  const words = text.match(WORD) ?? [];
  if (unit === "word") {
    const known = new Set(vocabulary.values);
    return words.flatMap(word => (known.has(word) ? [word] : Array.from(word)));
  }
  const rank = new Map(vocabulary.merges.map(([left, right], position) => [left + "\n\n" + right, position]));
  return words.flatMap(word => merged(Array.from(latin1(word)), rank));
}

/** The bytes of UTF-8, each as the character of the same number. */
export function latin1(text) {
  return Array.from(new TextEncoder().encode(text), byte => String.fromCharCode(byte)).join("");
}

function merged(parts, rank) {
  while (parts.length > 1) {
    const ranks = parts.slice(1).map((part, at) => rank.get(parts[at] + "\n\n" + part) ?? Infinity);
    const first = Math.min(...ranks);
    if (first === Infinity) break;
    const found = [];
    for (let at = 0; at < parts.length; at++) {
      found.push(ranks[at] === first ? parts[at] + parts[++at] : parts[at]);
    }
    parts = found;
  }
  return parts;
}
