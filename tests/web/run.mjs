// Reads requests in JSON from standard input, runs them on the JavaScript runtime, and prints the results in JSON.

import { readFileSync } from "node:fs";
import { argv } from "node:process";
import { pathToFileURL } from "node:url";

import { answers } from "./answers.mjs";

const { readModel } = await import(pathToFileURL(argv[2]).href);
for (const { model, requests } of JSON.parse(readFileSync(0, "utf-8"))) {
  console.log(answers(readModel, readFileSync(model), requests));
}
