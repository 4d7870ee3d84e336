// Validates the AsyncAPI document with the parser of the AsyncAPI project (structure, AMQP bindings, references), and the examples and frozen
// bodies of every kind against its schemas with Ajv, which the parser leaves alone in AsyncAPI 3. Errors and warnings end with 1.
//
//     node validate.cjs <folder with node_modules> <document> <folder of frozen bodies>
'use strict';

const { readFileSync, readdirSync } = require('node:fs');
const { createRequire } = require('node:module');
const { basename, join, resolve } = require('node:path');

const SEVERITIES = ['error', 'warning', 'information', 'hint'];
const WARNING = 1;
// Those of the generator that neither JSON Schema nor ajv-formats knows; `minimum` and `maximum` stand beside them.
const UNSIGNED = ['uint8', 'uint16', 'uint32', 'uint64'];

let problems = 0;
function problem(text) {
  problems += 1;
  console.error(text);
}

function validator(load, document) {
  const Ajv = load('ajv').default;
  const ajv = new Ajv({ allErrors: true, strictTypes: false });
  load('ajv-formats').default(ajv);
  ajv.addVocabulary(['components']);
  UNSIGNED.forEach((format) => ajv.addFormat(format, true));
  ajv.addSchema({ $id: 'document', components: { schemas: document.components.schemas } }, undefined, undefined, false);
  const absolute = (schema) => JSON.parse(JSON.stringify(schema).replaceAll('"$ref":"#/', '"$ref":"document#/'));
  return (what, schema, value) => {
    const valid = ajv.compile(absolute(schema));
    if (!valid(value)) problem(`${what}: ${ajv.errorsText(valid.errors)}`);
  };
}

async function main([tools, path, frozen]) {
  if (!tools || !path || !frozen) {
    throw new Error('usage: node validate.cjs <folder with node_modules> <document> <folder of frozen bodies>');
  }
  const load = createRequire(join(resolve(tools), 'package.json'));
  const { Parser } = load('@asyncapi/parser');
  const text = readFileSync(path, 'utf8');
  const { diagnostics, document: parsed } = await new Parser().parse(text);
  for (const { severity, path: at, message } of diagnostics.filter(({ severity }) => severity <= WARNING)) {
    problem(`${path}: ${SEVERITIES[severity]}: ${at.join('.')}: ${message}`);
  }
  if (!parsed) return;

  const document = JSON.parse(text);
  const check = validator(load, document);
  let bodies = 0;
  for (const [kind, message] of Object.entries(document.components.messages)) {
    for (const example of message.examples ?? []) {
      check(`${path}: example of ${kind}`, message.payload, example.payload);
      check(`${path}: headers of the example of ${kind}`, message.headers, example.headers);
      bodies += 1;
    }
    for (const file of readdirSync(frozen).filter((file) => basename(file, '.json').split('~')[0] === kind)) {
      check(join(frozen, file), message.payload, JSON.parse(readFileSync(join(frozen, file), 'utf8')));
      bodies += 1;
    }
  }
  if (problems > 0) return;
  const counts = [
    `${parsed.allChannels().length} channels`,
    `${parsed.allOperations().length} operations`,
    `${parsed.allMessages().length} messages`,
    `${bodies} bodies`,
  ];
  console.log(`${path}: AsyncAPI ${parsed.version()}, ${counts.join(', ')}: valid`);
}

main(process.argv.slice(2))
  .catch((error) => problem(`validating: ${error.message}`))
  .finally(() => {
    process.exitCode = problems > 0 ? 1 : 0;
  });
