// A click on the heading of a column sorts the rows of its table, a second click the other way round.
for (const table of document.querySelectorAll("table")) {
  const body = table.tBodies[0], heads = [...table.tHead.rows[0].cells];
  if (body.rows.length < 2) continue;
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach(other => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const numeric = [...body.rows].some(row => row.cells[column].dataset.sort !== undefined);
      const key = row => numeric ? parseFloat(row.cells[column].dataset.sort) : row.cells[column].textContent;
      const order = (a, b) => numeric
        ? (isNaN(a) - isNaN(b)) || (up ? a - b : b - a)  // cells without a figure stay at the end
        : (up ? 1 : -1) * a.localeCompare(b, "en", {numeric: true});
      body.append(...[...body.rows].sort((a, b) => order(key(a), key(b))));
    });
  });
}
