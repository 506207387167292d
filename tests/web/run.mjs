// Reads requests in JSON from standard input, runs them on the JavaScript runtime, and prints the results in JSON.

import { readFileSync } from "node:fs";
import { argv } from "node:process";
import { pathToFileURL } from "node:url";

const { readModel } = await import(pathToFileURL(argv[2]).href);
const plain = (_, value) => (typeof value === "bigint" ? { integer: String(value) }
  : typeof value === "number" && !Number.isFinite(value) ? { special: String(value) }
    : ArrayBuffer.isView(value) ? Array.from(value) : value);

for (const { model, requests } of JSON.parse(readFileSync(0, "utf-8"))) {
  const out = [];
  try {
    const loaded = readModel(readFileSync(model));
    for (const request of requests) {
      try {
        for (const made of loaded.generate(request)) {
          out.push({ encoded: made.encoded, columns: Object.fromEntries(made.columns), value: made.value, ended: made.ended });
        }
      } catch (error) {
        if (error.name !== "Refused") throw error;
        out.push({ error: error.message });
      }
    }
  } catch (error) {
    if (error.name !== "Refused") throw error;
    out.push({ error: error.message });
  }
  console.log(JSON.stringify(out, plain));
}
