// Makes elements. Text is always text: nothing here reads HTML, so nothing that a stranger wrote can become any.

/**
 * An element: `el("p.quiet", {id: "x"}, "words", child)`.
 * @param {string} what - tag, with classes after points
 * @param {object} attributes - `on…` are listeners; false and null leave an attribute out
 * @param {...(Node|string|null|Array)} children
 */
export function el(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const node = document.createElement(tag);
  if (classes.length) node.className = classes.join(" ");
  set(node, attributes);
  node.append(...children.flat(3).filter((child) => child !== null && child !== undefined));
  return node;
}

/** An element of SVG. */
export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(node, attributes);
  node.append(...children);
  return node;
}

function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
}

/** A definition list of pairs; pairs without a value are left out. */
export function facts(pairs) {
  return el(
    "dl.facts",
    {},
    pairs.filter((pair) => pair && pair[1] !== null).map(([name, ...value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
  );
}

/** A field with its label and a hint. */
export function field(label, input, hint = null) {
  const id = `f${(field.count = (field.count ?? 0) + 1)}`;
  input.id = id;
  const parts = [el("label", { for: id }, label), input];
  if (hint) {
    input.setAttribute("aria-describedby", `${id}h`);
    parts.push(el("small.hint", { id: `${id}h` }, hint));
  }
  return el("div.field", {}, parts);
}
