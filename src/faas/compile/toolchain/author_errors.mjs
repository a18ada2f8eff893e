// The author's own errors, when the compiler reports errors in code that json-as generated: the source is compiled once
// more without json-as's transform, with JSON.parse and JSON.stringify that do nothing.

import { DiagnosticCategory, DiagnosticCode, NodeKind, Parser, Source, SourceKind, Tokenizer } from "assemblyscript";
import { Check, SOURCE_PATH, withoutDuplicates } from "./check.mjs";
import { generatedFor, parseBlock } from "./json_as.mjs";
import { problem } from "./problem.mjs";
import { fields, jsonClasses } from "./schemas.mjs";

const EMPTIED = new Set(["parse", "stringify", "__serialize", "__deserialize"]);
// json-as fills members that have no initializer.
const NOT_INITIALIZED = new Set([
  DiagnosticCode.Property_0_has_no_initializer_and_is_not_assigned_in_the_constructor_before_this_is_used_or_returned,
]);
const MAX_FOREIGN = 20; // errors in code that is not the author's, when there are no others
const MEMBER = /(?:offsetof<this>\(|this\.)"?(\w+)/;

/**
 * The errors of a failed compilation, each at a node of the author's. `failure` is what was thrown, if anything;
 * `again` compiles with other transforms.
 */
export async function explain(check, failure, again) {
  const isOwn = ({ range }) => range?.source === check.source;
  const errors = check.parser.diagnostics.filter(({ category }) => category === DiagnosticCategory.Error);
  const own = errors.filter(isOwn);
  const foreign = errors.filter((error) => !isOwn(error));
  const warnings = check.parser.diagnostics.filter((found) => found.category === DiagnosticCategory.Warning && isOwn(found));
  const problems = check.problems();
  if (!foreign.length && (own.length || problems.length)) return withoutDuplicates([...problems, ...own, ...warnings]);
  let plain = [];
  if (check.usesJsonAs) {
    const second = new AuthorErrors();
    await again([second]);
    plain = second.errors();
  }
  const found = withoutDuplicates([...problems, ...own, ...plain]);
  if (found.length) return [...found, ...warnings];
  if (foreign.length) return withoutDuplicates(foreign.slice(0, MAX_FOREIGN).flatMap((error) => attributed(error, check)));
  return failure?.node ? [ofTransform(failure)] : [];
}

/** The same program as far as the author wrote it, and a use of every class. */
class AuthorErrors extends Check {
  afterParse(parser) {
    this.parser = parser;
    this.source = parser.sources.find((source) => source.normalizedPath === SOURCE_PATH);
    for (const source of parser.sources) {
      if (source.internalPath === "~lib/json-as/assembly/index") empty(source.statements, source);
    }
    const uses = [...jsonClasses(this.source)].filter(([node]) => !node.typeParameters?.length);
    const texts = uses.map(([node, name]) => use(node, name, this.source));
    const statement = parseFunction(`export function __use_classes(): void { ${texts.join("\n")} }`, this.source);
    if (!statement) return;
    this.source.statements.push(statement);
    // The type of each member, as its own node: a name that does not exist is reported there.
    for (const [node, , path] of uses) {
      if (path.length) continue; // names of a namespace mean something else here
      for (const { type } of fields(node)) {
        const load = parseBlock("{ load<i32>(0); }", this.source).statements[0];
        load.expression.typeArguments[0] = type;
        statement.body.statements.push(load);
      }
    }
  }

  afterInitialize() {}

  afterCompile() {
    throw new Error("only the errors are wanted");
  }

  errors() {
    return (this.parser?.diagnostics ?? []).filter(({ category, code, range }) =>
      category === DiagnosticCategory.Error && range?.source === this.source && !NOT_INITIALIZED.has(code));
  }
}

function empty(statements, source) {
  for (const statement of statements) {
    if (statement.kind === NodeKind.NamespaceDeclaration) empty(statement.members, source);
    if (statement.kind === NodeKind.FunctionDeclaration && EMPTIED.has(statement.name.text)) {
      statement.body = parseBlock('{ throw new Error(""); }', source);
    }
  }
}

function use(node, name, source) {
  const constructor = node.members.find((member) => member.name.text === "constructor");
  const text = ({ range }) => source.text.slice(range.start, range.end);
  const parameters = constructor?.signature.parameters ?? [];
  return `new ${name}(${parameters.map(({ type }) => `load<${text(type)}>(0)`).join(", ")});`;
}

function parseFunction(text, source) {
  return new Parser().parseTopLevelStatement(new Tokenizer(new Source(SourceKind.User, source.normalizedPath, text)));
}

/** An error in generated or library code, as an error at the author's class, member or calls. */
function attributed(error, check) {
  const node = error.range && generatedFor(error.range.source);
  if (node) {
    const { text } = error.range.source;
    const line = text.slice(text.lastIndexOf("\n", error.range.start) + 1, text.indexOf("\n", error.range.end) + 1 || undefined);
    const member = node.members.find(({ name }) => name.text === MEMBER.exec(line)?.[1]);
    const what = member ? `member '${member.name.text}' of class '${node.name.text}'` : `class '${node.name.text}'`;
    const reason = error.message.includes("'__DESERIALIZE_CUSTOM'")
      ? ": its class has @serializer and no @deserializer; write both"
      : /'__\w+'/.test(error.message) ? "" : `: ${error.message}`;
    return [problem((member ?? node.name).range, `json-as cannot generate code for ${what}${reason}`)];
  }
  const calls = error.range ? check.callsInto(error.range) : [];
  if (!calls.length) return [error];
  return calls.slice(0, 5).map(({ range }) => problem(range, `${error.message} (in ${error.range.source.normalizedPath}, which this call leads to)`));
}

/** What json-as's transform threw, at the class that it was thrown for. */
function ofTransform({ node, message, stack }) {
  const [reason] = (message || String(stack)).split("\n");
  const shown = /Failed to parse|undefined|null/.test(reason) ? "" : `: ${reason}`;
  return problem(node.name.range, `json-as cannot generate code for class '${node.name.text}'${shown}`);
}
