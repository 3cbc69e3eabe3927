// standins: everything that stands in for GitHub in the tests, on free ports of 127.0.0.1, until stdin ends:
//
//   client -> front (ours: faults, a log) -> Prism (is it valid by GitHub's own OpenAPI description?)
//                                         -> emulate (state)
//   git    -> lighttpd -> git http-backend
//
// usage: node standins.mjs MODULES FOLDER
// MODULES is where script/github-standins has installed the packages; below FOLDER/git are the bare repositories.
// One line of JSON on stdout says where they are: {"api": URL, "git": URL}.
//
// Prism mocks: as a proxy it does not tell of requests that it let pass, and would hold emulate's own answers against
// it. A request that is not valid is answered 422 by the front and never comes to emulate.
// The front takes orders, too: POST /__fault {"method", "path" (a part of it), "kind", "times", ...} and GET /__log.
import { createRequire } from 'node:module';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [modules, folder] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(modules), 'x.js'));
const token = 'sk-test-dummy';
const children = [];

// What the client may ask for. The whole description is 13 MB and takes Prism 7 s and 355 MB.
const operations = `
/user get
/repos/{owner}/{repo} get
/repos/{owner}/{repo}/collaborators/{username}/permission get
/repos/{owner}/{repo}/issues post
/repos/{owner}/{repo}/issues/{issue_number} get patch
/repos/{owner}/{repo}/issues/{issue_number}/comments get post
/repos/{owner}/{repo}/issues/comments/{comment_id} get patch delete
/repos/{owner}/{repo}/issues/{issue_number}/labels get post
/repos/{owner}/{repo}/issues/{issue_number}/labels/{name} delete
/repos/{owner}/{repo}/labels get post
/repos/{owner}/{repo}/labels/{name} get
/repos/{owner}/{repo}/git/ref/{ref} get
/repos/{owner}/{repo}/git/refs post
/repos/{owner}/{repo}/git/refs/{ref} delete
/repos/{owner}/{repo}/git/matching-refs/{ref} get
/repos/{owner}/{repo}/contents/{path} put
/repos/{owner}/{repo}/pulls get post
/repos/{owner}/{repo}/pulls/{pull_number} get patch
/repos/{owner}/{repo}/pulls/{pull_number}/merge put
/repos/{owner}/{repo}/pulls/{pull_number}/reviews get post
/repos/{owner}/{repo}/pulls/{pull_number}/comments get post
/repos/{owner}/{repo}/pulls/{pull_number}/comments/{comment_id}/replies post`;

function cut(from, to) {
	const api = JSON.parse(fs.readFileSync(from));
	const paths = {}, components = {};
	for (const line of operations.trim().split('\n')) {
		const [where, ...methods] = line.split(' ');
		paths[where] = {};
		for (const m of methods) paths[where][m] = api.paths[where][m];
	}
	const follow = (x) => {
		if (x === null || typeof x !== 'object') return;
		if (typeof x.$ref === 'string') {
			const [, , kind, name] = x.$ref.split('/');
			components[kind] ??= {};
			if (!components[kind][name]) {
				components[kind][name] = api.components[kind][name];
				follow(components[kind][name]);
			}
		}
		for (const v of Object.values(x)) follow(v);
	};
	follow(paths);
	// Examples are half of it, and nobody answers by them.
	delete components.examples;
	const bare = JSON.stringify({ openapi: api.openapi, info: api.info, paths, components },
		(k, v) => (k === 'examples' ? undefined : v));
	fs.writeFileSync(to, bare);
}

const freePort = () => new Promise((done) => {
	const s = net.createServer().listen(0, '127.0.0.1', () => {
		const { port } = s.address();
		s.close(() => done(port));
	});
});

async function listening(port) {
	for (let i = 0; i < 600; i++) {
		const up = await new Promise((done) => {
			const s = net.connect(port, '127.0.0.1', () => { s.destroy(); done(true); });
			s.on('error', () => done(false));
		});
		if (up) return;
		await new Promise((done) => setTimeout(done, 50));
	}
	throw new Error(`nothing listens on port ${port}`);
}

function start(program, args) {
	const log = fs.openSync(path.join(folder, 'standins.log'), 'a');
	const c = spawn(program, args, { stdio: ['ignore', log, log] });
	c.on('exit', (code) => { if (!ending) { console.error(`${program} ended with ${code}`); process.exit(1); } });
	children.push(c);
}

let ending = false;
function end(code) {
	ending = true;
	for (const c of children) c.kill('SIGKILL');
	process.exit(code);
}

// The front.
const faults = [], log = [];
const matches = (f, req) => (!f.method || f.method === req.method) && (!f.path || req.url.includes(f.path));

function forward(port, req, body, answered) {
	const out = http.request({ host: '127.0.0.1', port, method: req.method, path: req.url, headers: req.headers },
		(res) => {
			const parts = [];
			res.on('data', (d) => parts.push(d));
			res.on('end', () => answered(res.statusCode, { ...res.headers }, Buffer.concat(parts)));
		});
	out.on('error', (e) => answered(599, {}, Buffer.from(String(e))));
	out.end(body);
}

function send(res, status, headers, body) {
	for (const k of ['transfer-encoding', 'content-length', 'connection']) delete headers[k];
	if (status === 204 || status === 304) body = Buffer.alloc(0);
	else headers['content-length'] = body.length;
	res.writeHead(status, headers);
	res.end(body);
}

const say = (res, status, headers, json) =>
	send(res, status, { 'content-type': 'application/json', ...headers }, Buffer.from(JSON.stringify(json)));

// What Prism finds wrong with a request; an answer of its own that is no mock means that there is no such operation.
function faultsOf(headers, status, answer) {
	const found = JSON.parse(headers['sl-violations'] ?? '[]').filter((v) => v.location[0] === 'request');
	if (found.length > 0) return found.map((v) => `${v.location.join('.')}: ${v.message}`);
	if (status >= 400 && String(answer).includes('stoplight.io')) return [JSON.parse(answer).title];
	return status === 599 ? [String(answer)] : [];
}

function serve(prism, state) {
	return (req, res) => {
		const parts = [];
		req.on('data', (d) => parts.push(d));
		req.on('end', () => {
			const body = Buffer.concat(parts);
			if (req.url === '/__fault') { faults.push(JSON.parse(body)); return say(res, 200, {}, {}); }
			if (req.url === '/__log') return say(res, 200, {}, log);
			// The description is REST's, and the server has none: as where a token may not ask it.
			if (req.url === '/graphql') return say(res, 404, {}, { message: 'Not Found' });
			const entry = { method: req.method, path: req.url, status: 0, ms: Date.now() };
			log.push(entry);
			const f = faults.find((x) => matches(x, req));
			if (f && --f.times <= 0) faults.splice(faults.indexOf(f), 1);
			switch (f?.kind) {
			case 'reset': return req.socket.resetAndDestroy();
			case 'answer': entry.status = f.status; return say(res, f.status, f.headers ?? {}, f.body ?? {});
			}
			const act = (status, headers, answer) => {
				entry.status = status;
				if (f?.kind === 'lost') return req.socket.resetAndDestroy(); // done, and nobody is told
				if (f?.kind === 'cut') {
					res.writeHead(status, { 'content-type': 'application/json', 'content-length': answer.length + 10 });
					res.write(answer);
					return setTimeout(() => req.socket.destroy(), 20);
				}
				if (f?.kind === 'null-mergeable') answer = Buffer.from(JSON.stringify({ ...JSON.parse(answer), mergeable: null }));
				send(res, status, headers, answer);
			};
			// The description knows no application/vnd.github+json, which GitHub's documentation asks for.
			const plain = { ...req, method: req.method, url: req.url, headers: { ...req.headers, accept: 'application/json' } };
			forward(prism, plain, body, (status, headers, answer) => {
				const wrong = faultsOf(headers, status, answer);
				if (wrong.length === 0) return forward(state, req, body, act);
				entry.status = 422;
				entry.invalid = wrong;
				say(res, 422, {}, { message: "not valid by GitHub's description", errors: wrong });
			});
		});
	};
}

function lighttpdConf(port) {
	const f = path.resolve(folder);
	fs.writeFileSync(path.join(f, 'users'), `x-access-token:${token}\n`);
	fs.mkdirSync(path.join(f, 'git'), { recursive: true });
	return `
server.modules = ( "mod_auth", "mod_authn_file", "mod_alias", "mod_setenv", "mod_cgi" )
server.bind = "127.0.0.1"
server.port = ${port}
server.document-root = "${f}/git"
server.errorlog = "${f}/lighttpd.log"
alias.url = ( "/git" => "/usr/lib/git-core/git-http-backend" )
setenv.set-environment = ( "GIT_PROJECT_ROOT" => "${f}/git", "GIT_HTTP_EXPORT_ALL" => "1" )
cgi.assign = ( "" => "" )
auth.backend = "plain"
auth.backend.plain.userfile = "${f}/users"
auth.require = ( "/" => ( "method" => "basic", "realm" => "git", "require" => "valid-user" ) )
`;
}

const [front, prism, state, git] = [await freePort(), await freePort(), await freePort(), await freePort()];
const api = `http://127.0.0.1:${front}`;
const { createEmulator } = await import(pathToFileURL(path.join(path.resolve(modules), 'node_modules/emulate/dist/api.js')));

process.stdin.on('end', () => end(0));
process.stdin.resume();
process.on('SIGTERM', () => end(0));

const description = path.join(modules, 'description.json');
if (!fs.existsSync(description))
	cut(require.resolve('@octokit/openapi/generated/api.github.com.json'), description);
start(process.execPath, [path.join(modules, 'node_modules/.bin/prism'), 'mock', description, '--errors', '--port', String(prism), '--host', '127.0.0.1', '--verboseLevel', 'warn']);
fs.writeFileSync(path.join(folder, 'lighttpd.conf'), lighttpdConf(git));
start('lighttpd', ['-D', '-f', path.join(folder, 'lighttpd.conf')]);
await createEmulator({ service: 'github', hostname: '127.0.0.1', port: state, baseUrl: api,
	seed: {
		github: {
			users: [{ login: 'octo', email: 'octo@example.test' }, { login: 'stranger', email: 's@example.test' }],
			repos: [{ owner: 'octo', name: 'hello', auto_init: true }],
		},
		tokens: { [token]: { login: 'octo', scopes: ['repo', 'user'] },
			'sk-test-stranger': { login: 'stranger', scopes: ['repo', 'user'] } },
	} });
await Promise.all([listening(prism), listening(git)]);
http.createServer(serve(prism, state)).listen(front, '127.0.0.1', () =>
	console.log(JSON.stringify({ api, git: `http://127.0.0.1:${git}/git` })));
