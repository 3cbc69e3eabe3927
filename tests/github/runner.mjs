// runner: does the steps of a composite action as GitHub's runner does: expressions of env: and with: are filled in, scripts
// are files that a shell is given, commands on stdout are heeded unless they are stopped, outputs are read from files.
//
// usage: node runner.mjs MODULES FOLDER INPUTS
// FOLDER has the action.yml; INPUTS is JSON. RUNNER_TEMP and GITHUB_WORKSPACE come from the environment. One line of JSON
// on stdout at the end: {"status", "outputs", "commands": [[name, text]], "summary", "cache"}; what the steps say goes to
// stderr. A script with an expression in it is a fault: that is how titles become commands.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';

const [modules, folder, given] = process.argv.slice(2);
const { parse } = createRequire(path.join(path.resolve(modules), 'x.js'))('yaml');
const action = parse(fs.readFileSync(path.join(folder, 'action.yml'), 'utf8'));
const temp = process.env.RUNNER_TEMP;
const commands = [], steps = {}, inputs = {};
let cache = null, summary = '', stopped = null;

const context = {
	inputs,
	steps,
	github: {
		token: process.env.GITHUB_TOKEN ?? '',
		repository_owner: 'octo',
		event: { repository: { name: 'hello' } },
	},
};
const fill = (text) => String(text).replace(/\$\{\{\s*([\w.-]+)\s*\}\}/g, (all, name) =>
	name.split('.').reduce((at, key) => at?.[key], context) ?? '');

for (const [name, input] of Object.entries(action.inputs)) inputs[name] = fill(input.default ?? '');
for (const [name, value] of Object.entries(JSON.parse(given))) {
	if (!(name in inputs)) throw new Error(`no such input: ${name}`);
	inputs[name] = value;
}

// GitHub: "Workflow commands". Only at the beginning of a line, and none but the end of the stop while they are stopped.
function heed(line) {
	const m = /^::([^ :]+)[^:]*::(.*)$/.exec(line) ?? /^::(.+)::$/.exec(line);

	if (m === null) return;
	if (stopped !== null) {
		if (m[1] === stopped) stopped = null;
		return;
	}
	if (m[1] === 'stop-commands') stopped = m[2];
	commands.push([m[1], m[2] ?? '']);
}

function outputsOf(file) {
	const found = {};
	const lines = fs.readFileSync(file, 'utf8').split('\n');

	for (let i = 0; i < lines.length; i++) {
		const many = /^([^=<]+)<<(.+)$/.exec(lines[i]), one = /^([^=]+)=(.*)$/.exec(lines[i]);
		if (many) {
			const end = lines.indexOf(many[2], i + 1);
			if (end < 0) throw new Error(`an output without its end: ${lines[i]}`);
			found[many[1]] = lines.slice(i + 1, end).join('\n');
			i = end;
		} else if (one) found[one[1]] = one[2];
		else if (lines[i] !== '') throw new Error(`not an output: ${lines[i]}`);
	}
	return found;
}

function run(step) {
	if (step.run.includes('${{')) throw new Error(`an expression in a script: ${step.run}`);
	const script = path.join(temp, 'step.sh'), output = path.join(temp, 'output'), sum = path.join(temp, 'summary');
	const env = { ...process.env, GITHUB_ACTIONS: 'true', CI: 'true', GITHUB_ACTION_PATH: path.resolve(folder),
		GITHUB_OUTPUT: output, GITHUB_STEP_SUMMARY: sum };

	delete env.GITHUB_TOKEN; // no step has it unless it says so
	for (const [name, value] of Object.entries(step.env ?? {})) env[name] = fill(value);
	for (const file of [output, sum]) fs.writeFileSync(file, '');
	fs.writeFileSync(script, step.run + '\n');
	const r = spawnSync(step.shell, ['-e', script], {
		cwd: path.resolve(process.env.GITHUB_WORKSPACE, fill(step['working-directory'] ?? '.')),
		env, encoding: 'utf8', maxBuffer: 1 << 26, stdio: ['ignore', 'pipe', 'inherit'],
	});
	process.stderr.write(r.stdout);
	r.stdout.split('\n').forEach(heed);
	steps[step.id] = { outputs: outputsOf(output) };
	summary += fs.readFileSync(sum, 'utf8');
	return r.status;
}

let status = 0;
for (const step of action.runs.steps) {
	if (step.uses) cache = Object.fromEntries(Object.entries(step.with).map(([k, v]) => [k, fill(v)]));
	else status = run(step);
	if (status !== 0) break;
}
const outputs = Object.fromEntries(Object.entries(action.outputs).map(([k, v]) => [k, fill(v.value)]));
console.log(JSON.stringify({ status, outputs, commands, summary, cache }));
