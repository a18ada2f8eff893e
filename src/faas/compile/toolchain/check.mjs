// What the compiler and json-as would let pass, or report at code that the author did not write: a transform that runs
// before json-as's, and the problems that it finds, as diagnostics at the author's own nodes.
//
// Types are judged after compilation, when every alias and type parameter is resolved.

import { entryProblems } from "./entry.mjs";
import { problem } from "./problem.mjs";
import { isRead, schemaProblems } from "./schemas.mjs";
import { MARKER_NAME, needsInitializer, shown, unreadable } from "./shapes.mjs";

/** The path of the author's source. */
export const SOURCE_PATH = "function.ts";
const JSON_AS = "~lib/json-as/assembly/index";
const READERS = new Set(["JSON.parse", "JSON.internal.parse"].map((name) => `${JSON_AS}/${name}`));
const WRITERS = new Set(["JSON.stringify", "JSON.internal.stringify"].map((name) => `${JSON_AS}/${name}`));
const I32 = 2; // binaryen's number of the type

export class Check {
  /** The author's source, once it is parsed. */
  source = null;
  usesJsonAs = false;
  parser = null;
  program = null;
  /** The first call of each function instance: where, and in which function. */
  calls = new Map();
  #entryProblems = [];
  #problems = null;

  afterParse(parser) {
    this.parser = parser;
    this.source = parser.sources.find((source) => source.normalizedPath === SOURCE_PATH);
    this.usesJsonAs = parser.sources.some((source) => source.internalPath === JSON_AS);
    this.#entryProblems = entryProblems(this.source);
    const found = this.usesJsonAs ? schemaProblems(this.source) : [];
    if (found.length) this.#stop([...this.#entryProblems, ...found]); // json-as would run into them
  }

  afterInitialize(program) {
    this.program = program;
    const { resolver } = program;
    const infer = resolver.maybeInferCall;
    resolver.maybeInferCall = (node, prototype, flow, mode) => {
      const instance = infer.call(resolver, node, prototype, flow, mode);
      if (instance && (!this.calls.has(instance) || this.#isAuthors(node))) {
        if (!this.#isAuthors(this.calls.get(instance)?.node)) this.calls.set(instance, { node, caller: flow.sourceFunction });
      }
      return instance;
    };
  }

  afterCompile(module) {
    const found = this.problems();
    if (found.length) this.#stop(found);
    if (!this.usesJsonAs) return;
    // The host gives these modules documents in the spelling that json-as reads right (runtime/abi/json_as.py).
    module.addGlobal(MARKER_NAME, I32, false, module.i32.const(1));
    module.addGlobalExport(MARKER_NAME, MARKER_NAME);
  }

  /** The problems known so far: after a failed compilation, of the types that it had resolved. */
  problems() {
    if (this.#problems) return this.#problems;
    const found = [...this.#entryProblems];
    if (this.program && this.usesJsonAs) {
      for (const names of [READERS, WRITERS]) {
        const judgement = { reads: names === READERS, judged: new Set(), found };
        for (const [instance, call] of this.calls) {
          if (names.has(instance.prototype.internalName)) this.#judgeCall(instance, call, judgement);
        }
      }
    }
    return withoutDuplicates(found);
  }

  /** The author's calls that led to code at `range`, which is in a library. */
  callsInto(range) {
    const nodes = [];
    for (const [instance, call] of this.calls) {
      const declared = instance.prototype.declaration.range;
      if (declared.source !== range.source || declared.start > range.start || declared.end < range.end) continue;
      const node = this.#authorsCall(call);
      if (node && !nodes.includes(node)) nodes.push(node);
    }
    return nodes;
  }

  #isAuthors(node) {
    return node !== undefined && node.range.source === this.source;
  }

  #authorsCall(call) {
    for (let steps = 0; call && steps < 100; steps++) {
      if (this.#isAuthors(call.node)) return call.node;
      call = this.calls.get(call.caller);
    }
    return null;
  }

  #judgeCall(instance, call, judgement) {
    const node = this.#authorsCall(call);
    const [type] = instance.typeArguments ?? [];
    if (!node || !type) return;
    const [argument] = node.typeArguments ?? [];
    const verb = judgement.reads ? "read" : "write";
    const reason = this.#judge(type, "document", judgement);
    if (reason) judgement.found.push(problem((argument ?? node).range, `json-as does not ${verb} '${shown(type)}' right: ${reason}`));
  }

  #judge(type, place, judgement) {
    return unreadable(type, place, (classType) => {
      if (judgement.judged.has(classType)) return;
      judgement.judged.add(classType);
      this.#judgeMembers(classType, judgement);
    });
  }

  #judgeMembers(classType, judgement) {
    for (const [name, { fieldDeclaration: declaration, instance }] of allMembers(classType)) {
      if (!declaration || !isRead(declaration) || declaration.range.source !== this.source || !instance?.type) continue;
      const { type } = instance;
      const reason = this.#judge(type, "member", judgement);
      const range = (declaration.type ?? declaration).range;
      if (reason) judgement.found.push(problem(range, `json-as does not read member '${name}' of type '${shown(type)}' right: ${reason}`));
      if (judgement.reads && !declaration.initializer && needsInitializer(type, declaration)) {
        judgement.found.push(problem(declaration.range, `member '${name}' has no initializer, and no value where a document leaves it out; write one`));
      }
    }
  }

  #stop(found) {
    this.#problems = found;
    throw new Error(`${found.length} problem(s) in the source`);
  }
}

/** The diagnostics without those that say the same of the same place. */
export function withoutDuplicates(diagnostics) {
  const seen = new Set();
  return diagnostics.filter(({ code, range, message }) => {
    const key = `${code} ${range?.start} ${message}`;
    return !seen.has(key) && seen.add(key);
  });
}

function allMembers(classType) {
  const members = new Map();
  for (let current = classType; current; current = current.base) {
    for (const [name, member] of current.members ?? []) {
      if (member.fieldDeclaration !== undefined && !members.has(name)) members.set(name, member);
    }
  }
  return members;
}
