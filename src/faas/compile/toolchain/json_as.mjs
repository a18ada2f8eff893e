// json-as 1.6.0's transform, with the parts replaced that read valid documents wrong. It is private API: package.json
// pins the version, and `requireKnownVersion` refuses another one when the worker starts.
//
// - The reader that it generates for objects whose keys are not in the order of the class (`__DESERIALIZE_SLOW`)
//   compares only the first four characters of a five-letter key, takes values by the look of their first character and
//   the text of the member's type, and so skips what it does not expect. The one here compares whole keys and leaves
//   each value to `JSON.__deserialize<T>`, which the compiler resolves by the member's real type.
// - Its reader for keys in the order of the class (`__DESERIALIZE_FAST`) is kept where it reads right, because most
//   documents are read by it; elsewhere types are hidden from it (`resolveType`).
// - Two readers of arrays count brackets inside strings.
// - Classes that refer to each other make it recurse without end.
// - Empty classes lack the method that the readers of other classes call.

import { readFileSync } from "node:fs";
import { CommonFlags, NodeKind, Parser, Source, SourceKind, Tokenizer } from "assemblyscript";
import JsonAsTransformer, { JSONTransform } from "./node_modules/json-as/transform/lib/index.js";
import { Schema } from "./node_modules/json-as/transform/lib/types.js";
import { SimpleParser } from "./node_modules/json-as/transform/lib/util.js";
import { isCustom, isJson } from "./schemas.mjs";

const VERSION = "1.6.0";
const REPLACED = ["visitClassDeclaration", "visitClassDeclarationRef", "resolveType", "getSchema", "generateEmptyMethods"];
const SLOW_READER = "__DESERIALIZE_SLOW<";
const FAST_READERS = ["__DESERIALIZE_FAST", "__DESERIALIZE_FAST_PRETTY"];
const CUSTOM_READER = "__DESERIALIZE_CUSTOM(";
// What the compiler takes for the same type, and json-as does not know: its fast reader then gives up.
const SAME_TYPES = new Map([["number", "f64"], ["isize", "i32"], ["usize", "u32"]]);
const HIDDEN_TYPE = /^(?:(?:JSON\.)?Box<|StaticArray<|Set<.*> \| null$)/;
const FAST_ARRAY = /^(?:Array<)+(?:[iu](?:8|16|32|64)|f32|f64|bool|boolean|string|String)>+$/;

const original = Object.fromEntries(REPLACED.map((name) => [name, JSONTransform.prototype[name]]));
const parseClassMember = SimpleParser.parseClassMember;
requireKnownVersion();

function requireKnownVersion() {
  const file = new URL("./node_modules/json-as/package.json", import.meta.url);
  const { version } = JSON.parse(readFileSync(file, "utf8"));
  const missing = REPLACED.filter((name) => typeof original[name] !== "function");
  if (version !== VERSION || missing.length || typeof parseClassMember !== "function") {
    throw new Error(`json_as.mjs replaces parts of json-as ${VERSION}; found ${version}, without ${missing.join(", ") || "nothing"}`);
  }
}

// Readers of arrays that look for brackets and braces, also inside strings, and find nothing else: [file, function].
const ARRAY_READERS = [["array", "deserializeArrayArray"], ["struct", "deserializeStructArray"]];
const ARRAY_READER_BODY = `{
  const out = changetype<nonnull<T>>(dst || changetype<usize>(instantiate<T>()));
  out.length = 0;
  srcStart = JSON.Util.skipWhitespace(srcStart, srcEnd);
  if (srcStart >= srcEnd || load<u16>(srcStart) != 91) throw new Error("Expected '[' at the start of an array");
  srcStart = JSON.Util.skipWhitespace(srcStart + 2, srcEnd);
  while (srcStart < srcEnd && load<u16>(srcStart) != 93) {
    const end = JSON.Util.scanValueEnd<JSON.Value>(srcStart, srcEnd);
    if (!end || end <= srcStart) throw new Error("Unterminated array in JSON");
    out.push(JSON.__deserialize<valueof<T>>(srcStart, end));
    srcStart = JSON.Util.skipWhitespace(end, srcEnd);
    if (srcStart < srcEnd && load<u16>(srcStart) == 44) srcStart = JSON.Util.skipWhitespace(srcStart + 2, srcEnd);
  }
  return out;
}`;

export class Transformer extends JsonAsTransformer {
  afterParse(parser) {
    for (const [file, name] of ARRAY_READERS) {
      const path = `~lib/json-as/assembly/deserialize/naive/array/${file}`;
      const source = parser.sources.find(({ internalPath }) => internalPath === path);
      const reader = source?.statements.find((statement) => statement.kind === NodeKind.FunctionDeclaration && statement.name.text === name);
      if (source && !reader) throw new Error(`json-as ${VERSION} has no ${name} in ${path}`);
      if (reader) reader.body = parseBlock(ARRAY_READER_BODY, source);
    }
    super.afterParse(parser);
  }
}

/** The block that `text` is parsed to, as code of the file that `source` is. */
export function parseBlock(text, source) {
  return new Parser().parseStatement(new Tokenizer(new Source(SourceKind.User, source.normalizedPath, text)));
}

let visitor = null; // the JSONTransform whose class is being generated

/** Classes whose visit has begun and not ended, with the schema that stands in for them until then. */
const openClasses = new WeakMap();

function openClassesOf(transform) {
  if (!openClasses.has(transform)) openClasses.set(transform, new Map());
  return openClasses.get(transform);
}

JSONTransform.prototype.visitClassDeclarationRef = function (node) {
  const source = this.sources.get(node.range.source);
  const path = source.getFullPath(node);
  const open = openClassesOf(this);
  if (!open.has(path)) return original.visitClassDeclarationRef.call(this, node);
  // A class that is being visited: its own visit goes on, with the class that asks already generated.
  const schema = new Schema();
  schema.node = node;
  schema.name = source.getQualifiedName(node);
  schema.custom = node.members.some(isCustom);
  open.set(path, schema);
  this.schemas.get(source.internalPath).push(schema);
  this.visitedClasses.add(path);
  this.schema = schema;
};

JSONTransform.prototype.visitClassDeclaration = function (node) {
  if (!isJson(node)) return original.visitClassDeclaration.call(this, node);
  const source = this.sources.get(node.range.source);
  const path = source.getFullPath(node);
  const open = openClassesOf(this);
  const outermost = !open.has(path);
  if (outermost && this.visitedClasses.has(path)) return;
  if (outermost) open.set(path, null);
  const standIn = open.get(path);
  if (standIn) this.visitedClasses.delete(path);
  visitor = this;
  try {
    original.visitClassDeclaration.call(this, node);
  } catch (error) {
    if (error && !error.node) error.node = node;
    throw error;
  }
  if (standIn && this.schema.node === node) {
    const { name, node: declaration } = standIn;
    Object.assign(standIn, this.schema, { name, node: declaration });
  }
  if (outermost) open.delete(path);
};

JSONTransform.prototype.resolveType = function (type, source, visited) {
  const resolved = original.resolveType.call(this, type, source, visited).trim();
  // A space keeps the fast reader, which compares texts, from knowing the type: the whole object is then read by the
  // other one. The fast reader reads into what a member holds already, and so overruns static arrays, appends to arrays of
  // arrays, and leaves the defaults of arrays of maps and JSON values when a document has none. It reads whitespace after
  // a boxed number as digits, and knows no null for sets.
  if (HIDDEN_TYPE.test(resolved) || (resolved.startsWith("Array<") && !isFastArray(resolved, source))) return ` ${resolved}`;
  return SAME_TYPES.get(resolved) ?? resolved;
};

function isFastArray(type, source) {
  const text = type.replace(/ \| null$/, "");
  const [, element] = /^Array<([\w.]+)>$/.exec(text) ?? [];
  return FAST_ARRAY.test(text) || (element !== undefined && source.getClass(element) !== null);
}

// A generic class has no fast reader, and its name without arguments is no type.
JSONTransform.prototype.getSchema = function (name) {
  const schema = original.getSchema.call(this, name);
  return schema?.node?.isGeneric ? null : schema;
};

JSONTransform.prototype.generateEmptyMethods = function (node) {
  visitor = null;
  original.generateEmptyMethods.call(this, node);
  for (const name of FAST_READERS) {
    if (node.members.some((member) => member.name.text === name)) continue;
    const method = `${name}<__JSON_T>(srcStart: usize, srcEnd: usize, out: __JSON_T): usize { return 0; }`;
    node.members.push(parsed(method, node));
  }
};

SimpleParser.parseClassMember = function (text, node) {
  if (text.trimStart().startsWith(CUSTOM_READER)) node.members.push(parsed(customReader(node), node));
  if (visitor && text.startsWith(SLOW_READER)) text = slowReader(visitor.schema.members);
  return parsed(text, node);
};

const classOfSource = new WeakMap();

/** The class that the code in `source` was generated for, if it was. */
export function generatedFor(source) {
  return classOfSource.get(source) ?? null;
}

function parsed(text, node) {
  const member = parseClassMember.call(SimpleParser, text, node);
  classOfSource.set(member.range.source, node);
  return member;
}

/** The text of a method that reads an object into `out`, whatever the order of its keys, and returns its end or 0. */
function slowReader(members) {
  const byLength = new Map();
  for (const member of members) {
    const key = member.alias || member.name;
    if (!byLength.has(key.length)) byLength.set(key.length, []);
    byLength.get(key.length).push([key, member]);
  }
  const cases = [...byLength].map(([length, group]) => {
    const tests = group.map(([key, member]) => `if (${equals(key)}) { ${readMember(member)} break; }`);
    return `if (keyEnd - keyStart == ${length * 2}) { ${tests.join("\n")} break; }`;
  });
  return `${SLOW_READER}__JSON_T>(srcStart: usize, srcEnd: usize, out: __JSON_T): usize {
    srcStart = JSON.Util.skipWhitespace(srcStart, srcEnd);
    if (srcStart >= srcEnd || load<u16>(srcStart) != 123) return JSON.Util.failProductionParse();
    srcStart = JSON.Util.skipWhitespace(srcStart + 2, srcEnd);
    if (srcStart < srcEnd && load<u16>(srcStart) == 125) return srcStart + 2;
    while (srcStart < srcEnd && load<u16>(srcStart) == 34) {
      const keyStart = srcStart + 2;
      const afterKey = JSON.Util.scanValueEnd<string>(srcStart, srcEnd);
      if (!afterKey) break;
      const keyEnd = afterKey - 2;
      srcStart = JSON.Util.skipWhitespace(afterKey, srcEnd);
      if (srcStart >= srcEnd || load<u16>(srcStart) != 58) break;
      const valueStart = JSON.Util.skipWhitespace(srcStart + 2, srcEnd);
      const valueEnd = JSON.Util.scanValueEnd<JSON.Value>(valueStart, srcEnd);
      if (!valueEnd || valueEnd <= valueStart) break;
      do {
        ${cases.join("\n")}
      } while (false);
      srcStart = JSON.Util.skipWhitespace(valueEnd, srcEnd);
      if (srcStart >= srcEnd) break;
      const code = load<u16>(srcStart);
      if (code == 125) return srcStart + 2;
      if (code != 44) break;
      srcStart = JSON.Util.skipWhitespace(srcStart + 2, srcEnd);
    }
    return JSON.Util.failProductionParse();
  }`;
}

/** The text of a method that reads with the author's `@deserializer` into `out`, which the readers of arrays call. */
function customReader(node) {
  const links = heldFields(node).map(({ name, type }) => `if (isManaged<${textOf(type)}>()) __link(changetype<usize>(out), load<usize>(changetype<usize>(made), offsetof<this>("${name.text}")), true);`);
  return `${SLOW_READER}__JSON_T>(srcStart: usize, srcEnd: usize, out: __JSON_T): usize {
    const made = this.__DESERIALIZE_CUSTOM(JSON.Util.ptrToStr(JSON.Util.skipWhitespace(srcStart, srcEnd), srcEnd));
    memory.copy(changetype<usize>(out), changetype<usize>(made), offsetof<this>());
    ${links.join("\n")}
    return srcEnd;
  }`;
}

/** The fields of a class. One with a custom reader extends no other with members (schemas.mjs). */
function heldFields(node) {
  return node.members.filter((member) => member.kind === NodeKind.FieldDeclaration && !member.is(CommonFlags.Static));
}

function textOf({ range }) {
  return range.source.text.slice(range.start, range.end);
}

function equals(key) {
  const tests = [];
  for (let at = 0; at < key.length; ) {
    const size = key.length - at >= 4 ? 4 : key.length - at >= 2 ? 2 : 1;
    let word = 0n;
    for (let index = size - 1; index >= 0; index--) word = (word << 16n) | BigInt(key.charCodeAt(at + index));
    tests.push(`load<u${size * 16}>(keyStart, ${at * 2}) == 0x${word.toString(16)}`);
    at += size;
  }
  return tests.join(" && ") || "true";
}

function readMember({ name, type }) {
  const value = `JSON.__deserialize<${type}>(valueStart, valueEnd)`;
  const store = `store<${type}>(changetype<usize>(out), value, offsetof<this>(${JSON.stringify(name)}));`;
  // The object may have been seen by the garbage collector already: the link keeps the value alive.
  return `const value = ${value}; ${store} if (isManaged<${type}>()) __link(changetype<usize>(out), changetype<usize>(value), true);`;
}
