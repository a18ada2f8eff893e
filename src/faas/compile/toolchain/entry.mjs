// Whether a source exports `handle` as the calling convention wants it, and if not, what to write instead.

import { CommonFlags, NodeKind } from "assemblyscript";
import { problem } from "./problem.mjs";
import { MARKER_NAME } from "./shapes.mjs";

const WANTED = "write `export function handle(input: string): string`";
const STRINGS = new Set(["string", "String"]);

export function entryProblems(source) {
  const functions = new Map();
  const exported = new Map(); // exported name → node
  const seen = []; // what is called handle and is no exported function: [node, what it is]
  for (const statement of source.statements) look(statement, functions, exported, seen);
  if (exported.has(MARKER_NAME)) {
    return [problem(exported.get(MARKER_NAME).range ?? source.range, `'${MARKER_NAME}' is an export of the platform's own; write another name`)];
  }
  if (exported.has("alloc")) return []; // the core convention: (ptr, len) -> i64
  if (exported.has("handle")) {
    const name = exported.get("handle");
    const node = typeof name === "string" ? functions.get(name) : name;
    if (node?.kind === NodeKind.FunctionDeclaration) return signatureProblems(node, source);
    return []; // an import, or what the compiler reports itself
  }
  if (seen.length) return seen.map(([node, what]) => problem(node.range, `${what}; ${WANTED}`));
  const names = [...exported.keys()].slice(0, 5).map((name) => `'${name}'`).join(", ");
  const found = names ? `the source exports ${names}, and no function 'handle'` : "the source exports no function 'handle'";
  return [problem(source.range, `${found}; ${WANTED}`)];
}

/** What to say beside syntax errors, which leave no tree to look at. */
export function hint(text) {
  const [declared] = /\bfunction\s+handle\b[^{;]{0,200}/.exec(text) ?? [""];
  if (/\basync\s+function\s+handle\b/.test(text)) return `AssemblyScript has no 'async'; ${WANTED}`;
  return declared && !/:\s*string\s*$/.test(declared) ? WANTED : "";
}

function look(statement, functions, exported, seen) {
  switch (statement.kind) {
    case NodeKind.FunctionDeclaration: {
      const name = statement.name.text;
      functions.set(name, statement);
      if (statement.is(CommonFlags.Export)) exported.set(name, statement);
      else if (name === "handle") seen.push([statement.name, "function 'handle' is not exported"]);
      break;
    }
    case NodeKind.Variable:
      for (const declaration of statement.declarations) {
        const isFunction = declaration.initializer?.kind === NodeKind.Function;
        if (declaration.name.text === "handle") seen.push([declaration.name, `'handle' is a variable${isFunction ? " that holds a function" : ""}`]);
        else if (declaration.is(CommonFlags.Export)) exported.set(declaration.name.text, declaration);
      }
      break;
    case NodeKind.Export:
      for (const { localName, exportedName } of statement.members ?? []) {
        exported.set(exportedName.text, localName.text);
        if (localName.text === "handle" && exportedName.text !== "handle") {
          seen.push([localName, `function 'handle' is exported as '${exportedName.text}'`]);
        }
      }
      break;
    case NodeKind.ExportDefault:
      if (statement.declaration.name.text === "handle") {
        seen.push([statement.declaration.name, "'handle' is the default export"]);
      }
      break;
    case NodeKind.ClassDeclaration:
    case NodeKind.NamespaceDeclaration: {
      const kind = statement.kind === NodeKind.ClassDeclaration ? "class" : "namespace";
      for (const member of statement.members) {
        if (member.name?.text === "handle") seen.push([member.name, `'handle' is a member of ${kind} '${statement.name.text}'`]);
      }
      break;
    }
  }
}

function signatureProblems(node, source) {
  const { parameters, returnType } = node.signature;
  const aliases = new Set(source.statements.filter(({ kind }) => kind === NodeKind.TypeDeclaration).map(({ name }) => name.text));
  const isString = (type) =>
    type.kind === NodeKind.NamedType && !type.isNullable && !type.name.next &&
    (STRINGS.has(type.name.identifier.text) || aliases.has(type.name.identifier.text));
  const text = ({ range }) => source.text.slice(range.start, range.end);
  if (node.typeParameters?.length) return [problem(node.name.range, `function 'handle' is generic; ${WANTED}`)];
  if (parameters.length !== 1) {
    return [problem(node.name.range, `function 'handle' has ${parameters.length} parameters, needed is one; ${WANTED}`)];
  }
  const found = [];
  if (!isString(parameters[0].type)) {
    found.push(problem(parameters[0].range, `the parameter of 'handle' is '${text(parameters[0].type)}', needed is 'string'; ${WANTED}`));
  }
  if (!isString(returnType)) {
    found.push(problem(node.name.range, `'handle' returns '${text(returnType) || "nothing"}', needed is 'string'; ${WANTED}`));
  }
  return found;
}
