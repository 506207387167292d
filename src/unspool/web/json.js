// JSON without what JSON.parse lets pass: a name that occurs twice, and whole numbers that float64 would round.

import { Refused } from "./errors.js";

const DEEPEST = 500;

/** The value of a text; a whole number beyond 2^53 is a BigInt. */
export function parseJson(text, location) {
  let at = 0;
  const space = /[ \t\n\r]*/y, number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
  const string = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
  const fail = found => {
    throw new Refused(`${location}: header`, "a JSON object of distinct names", `${found} at character ${at}`);
  };
  const skip = () => {
    space.lastIndex = at;
    space.exec(text);
    at = space.lastIndex;
  };
  const take = pattern => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (!found) fail("unreadable JSON");
    at = pattern.lastIndex;
    return found[0];
  };
  const word = (name, value) => {
    if (!text.startsWith(name, at)) fail("unreadable JSON");
    at += name.length;
    return value;
  };
  const members = (end, one) => {
    at++;
    skip();
    if (text[at] === end) return at++;
    for (;;) {
      one();
      skip();
      if (text[at] === end) return at++;
      if (text[at++] !== ",") fail("unreadable JSON");
      skip();
    }
  };
  const value = depth => {
    if (depth > DEEPEST) fail("too many levels");
    skip();
    const sign = text[at];
    if (sign === "{") {
      const found = Object.create(null);
      members("}", () => {
        const name = JSON.parse(take(string));
        if (name in found) fail(`the name ${JSON.stringify(name)} twice`);
        skip();
        if (text[at++] !== ":") fail("unreadable JSON");
        found[name] = value(depth + 1);
      });
      return found;
    }
    if (sign === "[") {
      const found = [];
      members("]", () => found.push(value(depth + 1)));
      return found;
    }
    if (sign === '"') return JSON.parse(take(string));
    if (sign === "t") return word("true", true);
    if (sign === "f") return word("false", false);
    if (sign === "n") return word("null", null);
    const digits = take(number), found = Number(digits);
    if (!Number.isFinite(found)) fail("a number that is too large");
    return /^-?\d+$/.test(digits) && !Number.isSafeInteger(found) ? BigInt(digits) : found;
  };
  const found = value(0);
  skip();
  if (at < text.length) fail("text after the end");
  return found;
}
