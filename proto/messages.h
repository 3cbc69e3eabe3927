/*
 * messages: the schema of everything orchd, its roles and its clients say to
 * each other. A row per message, a row per field; the macros below make enum,
 * structs, permission table and field descriptors from it, and one
 * descriptor-driven codec (proto/msg) serves them all.
 *
 * Frame (proto/frame): 12 bytes, big-endian: u32 length of the payload (<= 1 MiB),
 * u16 message id, u16 flags (0), u32 request id; then one msgpack map from field
 * name to value. Request id 0 = no answer wanted; an answer carries the
 * request's id. Lists are streams: N items, then END (or ERROR), same id.
 *
 * Rules of change: ids and names are never reused, retired rows stay as comments;
 * a new field is OPT; unknown fields are ignored, an unknown id is answered with
 * ERROR. PROTO_VERSION rises when a peer of the version before would misbehave;
 * adjacent versions talk to each other.
 *
 * Text is UTF-8 without NUL (the codec refuses anything else): sanitise untrusted
 * bytes with text_utf8() first. Times are wall-clock milliseconds, durations
 * milliseconds, money is micro-USD. Commits are full hexadecimal object ids.
 * Field names ending in _json hold JSON text. A field of the kind secret is a str that
 * msg_text() never prints, and that is wiped from memory after its handler.
 */
#ifndef ORCH_PROTO_MESSAGES_H
#define ORCH_PROTO_MESSAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROTO_VERSION 1
#define PROTO_FRAME_HEADER 12
#define PROTO_FRAME_MAX (1u << 20)

#define PLAN_MAX (256 * 1024)  /* bytes of a plan's JSON */
#define GOAL_MAX (256 * 1024)  /* bytes of an issue, a goal */
#define EVIDENCE_MAX (64 * 1024)
#define ANSWER_MAX 16384 /* what a person answers a run that asks */
#define REVIEW_MAX (256 * 1024) /* what a round of reviews is about */
#define TEXT_MAX 4096          /* a reason, a summary */
#define NAME_MAX_BYTES 128     /* task ids, run ids, plan ids, states */
#define REF_MAX 512
#define OPTIONS_MAX (64 * 1024)
#define LIST_MAX (64 * 1024)   /* a JSON array of patterns or ids */
#define ROW_MAX (960 * 1024)    /* a run's or task's row, as JSON */
#define TOKEN_MAX 1024         /* a token for GitHub */
#define KEYS_MAX (64 * 1024)   /* CLAUDE_CONFIGS, or what an agent gets of it */

/* Who a peer is, known from the socket it came by. Bits, for the permission table. */
enum proto_who {
	WHO_ORCHD = 1,
	WHO_DIRECTOR = 2,
	WHO_EM = 4,
	WHO_WORKER = 8,
	WHO_GATEWAY = 16,
	WHO_CTL = 32,
};
#define WHO_LEAD (WHO_DIRECTOR | WHO_EM)
#define WHO_ROLE (WHO_DIRECTOR | WHO_EM | WHO_WORKER)
#define WHO_ANY (WHO_ORCHD | WHO_ROLE | WHO_GATEWAY | WHO_CTL)

/*
 * M(id, NAME, name, senders, receivers). The codec's struct is struct msg_<name>, its
 * rows are MSG_<NAME>_FIELDS.
 */
#define MESSAGE_LIST(M)                                                                            \
	/* Link: both directions, every peer. */                                                   \
	M(1, HELLO, hello, WHO_ANY, WHO_ANY)                                                       \
	M(2, PING, ping, WHO_ANY, WHO_ANY)                                                         \
	M(3, PONG, pong, WHO_ANY, WHO_ANY)                                                         \
	M(4, ACK, ack, WHO_ORCHD, WHO_ANY)                                                         \
	M(5, ERROR, error, WHO_ANY, WHO_ANY)                                                       \
	M(6, END, end, WHO_ORCHD, WHO_ANY)                                                         \
	/* orchd tells a role what it serves; then one CHILD per child task, then END, then CHILD */ \
	/* again whenever a child changes. */                                                      \
	M(10, ASSIGN, assign, WHO_ORCHD, WHO_ROLE)                                                 \
	M(11, CHILD, child, WHO_ORCHD, WHO_LEAD)                                                   \
	M(12, STOP, stop, WHO_ORCHD, WHO_ROLE | WHO_GATEWAY)                                       \
	M(13, SECRETS, secrets, WHO_ORCHD, WHO_ROLE)                                               \
	M(14, ROUND, round, WHO_ORCHD, WHO_DIRECTOR)                                               \
	/* A role reports. All are requests answered by ACK once durable, except PROGRESS. */      \
	M(20, PLAN, plan, WHO_LEAD, WHO_ORCHD)                                                     \
	M(21, TASK_ADD, task_add, WHO_LEAD, WHO_ORCHD)                                             \
	M(22, NOTE, note, WHO_ROLE, WHO_ORCHD)                                                     \
	M(23, SUBMIT, submit, WHO_EM | WHO_WORKER, WHO_ORCHD)                                      \
	M(24, INTEGRATED, integrated, WHO_LEAD, WHO_ORCHD)                                         \
	M(25, REWORK, rework, WHO_ROLE, WHO_ORCHD)                                                 \
	M(26, ATTEMPT_FAILED, attempt_failed, WHO_ROLE, WHO_ORCHD)                                 \
	M(27, WAIT, wait, WHO_ROLE, WHO_ORCHD)                                                     \
	M(28, FAIL, fail, WHO_ROLE, WHO_ORCHD)                                                     \
	M(29, FINISH, finish, WHO_DIRECTOR, WHO_ORCHD)                                             \
	M(30, EVENT, event, WHO_ROLE, WHO_ORCHD)                                                   \
	M(31, PROGRESS, progress, WHO_ROLE, WHO_ORCHD)                                             \
	M(32, RUN_STATE, run_state, WHO_DIRECTOR, WHO_ORCHD)                                       \
	M(33, ASK, ask, WHO_DIRECTOR, WHO_ORCHD)                                                   \
	M(34, REVIEW, review, WHO_DIRECTOR, WHO_ORCHD)                                             \
	/* All that another machine needs to go on with the role's run. Answer: SAVED_ROWs, END. */ \
	M(36, DUMP, dump, WHO_DIRECTOR, WHO_ORCHD)                                                 \
	M(37, SAVED_ROW, saved_row, WHO_ORCHD, WHO_DIRECTOR)                                       \
	/* A client asks. */                                                                       \
	M(40, RUN_SUBMIT, run_submit, WHO_CTL, WHO_ORCHD)                                          \
	M(41, RUN_ACCEPTED, run_accepted, WHO_ORCHD, WHO_CTL)                                      \
	M(42, STATUS, status, WHO_CTL | WHO_DIRECTOR, WHO_ORCHD)                                   \
	M(43, DAEMON_INFO, daemon_info, WHO_ORCHD, WHO_CTL)                                        \
	M(44, RUN_INFO, run_info, WHO_ORCHD, WHO_CTL | WHO_DIRECTOR)                               \
	M(45, TASK_INFO, task_info, WHO_ORCHD, WHO_CTL | WHO_DIRECTOR)                             \
	M(46, EVENTS, events, WHO_CTL, WHO_ORCHD)                                                  \
	M(47, EVENT_INFO, event_info, WHO_ORCHD, WHO_CTL)                                          \
	M(48, LOST, lost, WHO_ORCHD, WHO_CTL)                                                      \
	M(49, SHUTDOWN, shutdown, WHO_CTL, WHO_ORCHD)                                              \
	M(50, CANCEL, cancel, WHO_CTL, WHO_ORCHD)                                                  \
	M(51, RETRY, retry, WHO_CTL, WHO_ORCHD)                                                    \
	M(52, RESUME, resume, WHO_CTL, WHO_ORCHD)                                                  \
	M(53, FORGET, forget, WHO_CTL, WHO_ORCHD)                                                  \
	/* Is that role's loop alive? Routed to it, and its answer back. */                        \
	M(54, PROBE, probe, WHO_CTL, WHO_ORCHD)                                                    \
	M(55, PROBED, probed, WHO_ORCHD, WHO_CTL)                                                  \
	M(56, ROLE_PROBE, role_probe, WHO_ORCHD, WHO_ROLE)                                         \
	M(57, ROLE_PROBED, role_probed, WHO_ROLE, WHO_ORCHD)                                       \
	M(58, KEYS, keys, WHO_CTL, WHO_ORCHD)                                                      \
	/* A line of a run that was saved elsewhere; the run that this client submits next may go on from it. */ \
	M(59, RESTORE, restore, WHO_CTL, WHO_ORCHD)                                                \
	/* The gateway. One that survived its orchd tells the next one what it holds; GW_READY ends */ \
	/* that. */                                                                                \
	M(60, GW_KEYS, gw_keys, WHO_ORCHD, WHO_GATEWAY)                                            \
	M(61, GW_READY, gw_ready, WHO_GATEWAY, WHO_ORCHD)                                          \
	M(62, GW_TOKEN_ADD, gw_token_add, WHO_ORCHD, WHO_GATEWAY)                                  \
	M(63, GW_TOKEN_DEL, gw_token_del, WHO_ORCHD, WHO_GATEWAY)                                  \
	M(64, GW_BUDGET, gw_budget, WHO_ORCHD, WHO_GATEWAY)                                        \
	M(65, GW_NOTE, gw_note, WHO_GATEWAY, WHO_ORCHD)                                            \
	M(66, GW_USAGE, gw_usage, WHO_GATEWAY, WHO_ORCHD)                                          \
	M(67, GW_KEY_STATE, gw_key_state, WHO_GATEWAY, WHO_ORCHD)                                  \
	/* What the gateway saw of the agent of a role's own task. */                              \
	M(68, SEEN, seen, WHO_ORCHD, WHO_ROLE)                                                     \
	/* orchctl keys. Answer: a KEY_INFO per row, END. */                                       \
	M(70, KEY_LIST, key_list, WHO_CTL, WHO_ORCHD)                                              \
	M(71, KEY_INFO, key_info, WHO_ORCHD, WHO_CTL)                                              \
	M(72, GW_HAS_KEYS, gw_has_keys, WHO_GATEWAY, WHO_ORCHD)                                    \
	M(73, GW_HAS_TOKEN, gw_has_token, WHO_GATEWAY, WHO_ORCHD)                                  \
	M(74, GW_KEY_KNOWN, gw_key_known, WHO_ORCHD, WHO_GATEWAY)                                  \
	/* orchd has a role end its agent. */                                                      \
	M(75, CEILING, ceiling, WHO_ORCHD, WHO_ROLE)                                               \
	/* The token for GitHub: only a run's director gets it. */                                 \
	M(80, TOKEN, token, WHO_CTL, WHO_ORCHD)                                                    \
	M(81, ROLE_TOKEN, role_token, WHO_ORCHD, WHO_DIRECTOR)                                     \
	M(82, HAS_TOKEN, has_token, WHO_DIRECTOR, WHO_ORCHD)                                       \
	/* A person answers what a run asks, or wants to see its plan. */                          \
	M(90, ANSWER, answer, WHO_CTL, WHO_ORCHD)                                                  \
	M(91, PLAN_GET, plan_get, WHO_CTL, WHO_ORCHD)                                              \
	M(92, PLAN_INFO, plan_info, WHO_ORCHD, WHO_CTL)                                            \
	/* What people say of a run's pull request is to be done. */                               \
	M(93, ADDRESS, address, WHO_CTL, WHO_ORCHD)

/* F(kind, name, REQ or OPT, max bytes of str and blob). An absent OPT is 0, false or NULL. */

/* First message each way; orchd speaks first. task: which one a role serves (it may be reconnecting). */
#define MSG_HELLO_FIELDS(F)                                                                        \
	F(u64, proto, REQ, 0)                                                                      \
	F(str, role, REQ, 32)                                                                      \
	F(str, version, OPT, 64)                                                                   \
	F(str, task, OPT, NAME_MAX_BYTES)                                                          \
	F(u64, pid, OPT, 0)                                                                        \
	F(u64, heartbeat_ms, OPT, 0)                                                               \
	F(bool, attached, OPT, 0) /* from a role: it has its ASSIGN already and only lost its socket */

#define MSG_PING_FIELDS(F) F(u64, seq, REQ, 0)
#define MSG_PONG_FIELDS(F) F(u64, seq, REQ, 0)
#define MSG_ACK_FIELDS(F) F(str, text, OPT, TEXT_MAX)
/* code: a positive errno. text: one sentence for a person. */
#define MSG_ERROR_FIELDS(F)                                                                        \
	F(u64, code, REQ, 0)                                                                       \
	F(str, text, REQ, TEXT_MAX)
#define MSG_END_FIELDS(F) F(u64, count, OPT, 0)

/* Everything a role needs besides git. options_json: the run's frozen options (common/conf). */
#define MSG_ASSIGN_FIELDS(F)                                                                       \
	F(str, run, REQ, NAME_MAX_BYTES)                                                           \
	F(str, task, REQ, NAME_MAX_BYTES)                                                          \
	F(str, key, OPT, NAME_MAX_BYTES) /* plan ids: "core" for an EM, "core.parser" for a worker */ \
	F(str, title, REQ, TEXT_MAX)                                                               \
	F(str, goal, REQ, GOAL_MAX)                                                                \
	F(str, run_title, OPT, TEXT_MAX)                                                           \
	F(str, owns_json, OPT, LIST_MAX)                                                           \
	F(str, acceptance, OPT, GOAL_MAX)                                                          \
	F(str, plan_json, OPT, PLAN_MAX)                                                           \
	F(str, state, REQ, NAME_MAX_BYTES)                                                         \
	F(u64, attempt, REQ, 0) /* starts of an agent on this task that counted, from 1 */         \
	F(u64, rework, OPT, 0)  /* how often it was sent back */                                   \
	F(str, evidence, OPT, EVIDENCE_MAX) /* why, the last time */                               \
	F(str, merge_from, OPT, REF_MAX)    /* commit to merge into the branch before working */   \
	F(str, branch, OPT, REF_MAX)                                                               \
	F(str, parent_branch, OPT, REF_MAX)                                                        \
	F(str, base, OPT, 64)                                                                      \
	F(str, head, OPT, 64) /* committed by this attempt already: only check, gate and submit */ \
	F(str, session, OPT, NAME_MAX_BYTES)                                                       \
	F(str, git_dir, REQ, 4096)   /* the repository's common git directory */                   \
	F(str, state_dir, REQ, 4096) /* worktrees and agents' homes live below it */               \
	F(str, log_dir, REQ, 4096)   /* of this run */                                             \
	F(str, options_json, REQ, OPTIONS_MAX)                                                     \
	F(str, verify_json, OPT, TEXT_MAX) /* commands of the area that must pass beside the run's gate */ \
	F(str, guarded_json, OPT, 4 * TEXT_MAX)   /* what else is protected, for the area's sake */    \
	F(str, gate, OPT, 64)  /* how the gate stands (known_gate), by the nearest of its leads that knows */ \
	F(bool, gate_own, OPT, 0) /* by the task itself */                                          \
	F(bool, cancelled, OPT, 0) /* director: the run was cancelled; clean up and FINISH */      \
	F(bool, secrets, OPT, 0)   /* SECRETS follows at once */                                   \
	F(bool, token, OPT, 0)     /* director: the run was given a token for GitHub */                                   \
	F(u64, cost_uusd, OPT, 0)  /* of all sessions of the task's agents so far */               \
	F(u64, tokens_in, OPT, 0)                                                                  \
	F(u64, tokens_out, OPT, 0)                                                                 \
	F(u64, past_cost_uusd, OPT, 0) /* of these, in sessions before the present one */          \
	F(u64, past_tokens_in, OPT, 0)                                                             \
	F(u64, past_tokens_out, OPT, 0)                                                            \
	F(str, checkout, OPT, 4096) /* the user's, with the files to copy; NULL: there is none */  \
	F(str, setback, OPT, TEXT_MAX) /* why the attempt, or the process, before this one ended badly */ \
	F(bool, approve, OPT, 0) /* director: ASK for a yes to the plan before anything is done */ \
	F(bool, plan_only, OPT, 0) /* director: store the plan and FINISH */ \
	F(bool, reviewed, OPT, 0)  /* it was integrated before, and is done again for a review */  \
	F(u64, review_round, OPT, 0) /* director: rounds that began */                             \
	F(u64, review_max, OPT, 0)   /* director: rounds that there may be */                      \
	F(u64, review_pull, OPT, 0)  /* director: the pull request, when a person named it */      \
	F(bool, review_trust, OPT, 0) /* director: everybody's words count */

/*
 * After ASSIGN, and again when they change. name: which configuration; env_json: its variables, an array of
 * "NAME=value", for the environment of agents alone.
 */
#define MSG_SECRETS_FIELDS(F)                                                                      \
	F(str, name, REQ, NAME_MAX_BYTES)                                                          \
	F(secret, env_json, REQ, 2 * KEYS_MAX)                                                     \
	F(u64, answer_ms, OPT, 0) /* how long the gateway may take until it answers, and be silent in one */ \
	F(u64, idle_ms, OPT, 0)

/* Behind ASSIGN: the round of reviews that is not answered yet, as REVIEW began it. */
#define MSG_ROUND_FIELDS(F) F(str, review_json, REQ, REVIEW_MAX)

/* One child task of the task this role serves. owns_json, key: as planned. */
#define MSG_CHILD_FIELDS(F)                                                                        \
	F(str, task, REQ, NAME_MAX_BYTES)                                                          \
	F(u64, ordinal, REQ, 0)                                                                    \
	F(str, key, REQ, NAME_MAX_BYTES)                                                           \
	F(str, title, REQ, TEXT_MAX)                                                               \
	F(str, owns_json, OPT, LIST_MAX)                                                           \
	F(str, state, REQ, NAME_MAX_BYTES)                                                         \
	F(str, branch, OPT, REF_MAX)                                                               \
	F(str, base, OPT, 64)                                                                      \
	F(str, head, OPT, 64)                                                                      \
	F(u64, attempt, OPT, 0)                                                                    \
	F(u64, rework, OPT, 0)                                                                     \
	F(u64, submitted_at, OPT, 0)                                                               \
	F(bool, alive, OPT, 0) /* a process of it, or of its tree, still lives: do not touch its worktree */ \
	F(str, reason, OPT, TEXT_MAX)

#define MSG_STOP_FIELDS(F)                                                                         \
	F(str, reason, OPT, TEXT_MAX)                                                              \
	F(u64, grace_ms, OPT, 0)                                                                   \
	F(bool, cancelled, OPT, 0) /* director: the run was cancelled; clean up and FINISH, do not exit yet */

/* The validated plan of the sender's own task, kept so that a restart does not plan again. */
#define MSG_PLAN_FIELDS(F)                                                                         \
	F(str, plan_json, REQ, PLAN_MAX)                                                           \
	F(str, summary, OPT, TEXT_MAX)                                                             \
	F(str, branch, OPT, REF_MAX)

/*
 * Adds a child of the sender's task; repeating a key that exists is acknowledged and
 * changes nothing. The ACK's text is the child's task id. ordinal counts from 1.
 * needs_json: ids (keys) that must be integrated first, and without which this one fails;
 * after_json: keys that must have ended first, however (they share owned paths).
 */
#define MSG_TASK_ADD_FIELDS(F)                                                                     \
	F(u64, ordinal, REQ, 0)                                                                    \
	F(str, key, REQ, NAME_MAX_BYTES)                                                           \
	F(str, title, REQ, TEXT_MAX)                                                               \
	F(str, goal, REQ, GOAL_MAX)                                                                \
	F(str, owns_json, REQ, LIST_MAX)                                                           \
	F(str, needs_json, OPT, LIST_MAX)                                                          \
	F(str, after_json, OPT, LIST_MAX)                                                          \
	F(str, acceptance, OPT, GOAL_MAX)                                                          \
	F(str, plan_json, OPT, PLAN_MAX)                                                           \
	F(str, merge_from, OPT, REF_MAX)                                                           \
	F(str, verify_json, OPT, TEXT_MAX) /* as ASSIGN has them */                             \
	F(str, guarded_json, OPT, 4 * TEXT_MAX)                                                        \
	F(str, branch, REQ, REF_MAX)

/*
 * Durable facts about the sender's own task; an absent field leaves what is stored, an
 * empty string clears it. cost and tokens are totals of the task so far.
 */
/* Cost and tokens are the task's. With another session than before, what they were so far is past. */
#define MSG_NOTE_FIELDS(F)                                                                         \
	F(str, base, OPT, 64)                                                                      \
	F(str, head, OPT, 64)                                                                      \
	F(str, session, OPT, NAME_MAX_BYTES)                                                       \
	F(str, branch, OPT, REF_MAX)                                                               \
	F(u64, cost_uusd, OPT, 0)                                                                  \
	F(u64, tokens_in, OPT, 0)                                                                  \
	F(u64, tokens_out, OPT, 0)                                                                 \
	F(str, gate, OPT, 64) /* how the gate stands on the sender's branch */                     \
	F(bool, merged, OPT, 0) /* merge_from has been merged: forget it */

/* The sender's task is ready for its parent. */
#define MSG_SUBMIT_FIELDS(F)                                                                       \
	F(str, base, REQ, 64)                                                                      \
	F(str, head, REQ, 64)                                                                      \
	F(u64, files, OPT, 0)                                                                      \
	F(u64, insertions, OPT, 0)                                                                 \
	F(u64, deletions, OPT, 0)                                                                  \
	F(str, summary, OPT, TEXT_MAX)

/* The parent's branch holds the child's head now; head: the parent branch's new tip. */
#define MSG_INTEGRATED_FIELDS(F)                                                                   \
	F(str, task, REQ, NAME_MAX_BYTES)                                                          \
	F(str, head, REQ, 64)

/* Sends a child, or the sender's own task, back to work. Over max_rework it fails with this evidence. */
#define MSG_REWORK_FIELDS(F)                                                                       \
	F(str, task, REQ, NAME_MAX_BYTES)                                                          \
	F(str, reason, REQ, TEXT_MAX) /* one sentence for status */                                \
	F(str, evidence, REQ, EVIDENCE_MAX)                                                        \
	F(str, merge_from, OPT, REF_MAX)

/* The agent of the sender's task ended badly. orchd counts it: waiting with backoff, or failed. */
#define MSG_ATTEMPT_FAILED_FIELDS(F)                                                               \
	F(str, reason, REQ, TEXT_MAX)                                                              \
	F(bool, ceiling, OPT, 0) /* ended for what its processes took: tried once more, and not counted */

/* All agents together take too much, and the receiver's the most: it ends its agent. */
#define MSG_CEILING_FIELDS(F)                                                                      \
	F(u64, ceiling_mb, REQ, 0)                                                                 \
	F(u64, use_mb, REQ, 0)

/* Nothing can be done until then; no attempt is used up. limit: a key's or login's. */
#define MSG_WAIT_FIELDS(F)                                                                         \
	F(u64, until, REQ, 0)                                                                      \
	F(str, reason, REQ, TEXT_MAX)                                                              \
	F(bool, limit, OPT, 0)

/* A child, or the sender's own task, cannot be done. */
#define MSG_FAIL_FIELDS(F)                                                                         \
	F(str, task, REQ, NAME_MAX_BYTES)                                                          \
	F(str, reason, REQ, TEXT_MAX)

/*
 * An ACK with a text means that it has not: somebody asked for the reviews in the meantime, and they are to be
 * looked at before the next FINISH.
 */
/* The run has ended; orchd computes the verdict from the tasks, the director tells the result. */
#define MSG_FINISH_FIELDS(F)                                                                       \
	F(str, head, OPT, 64)                                                                      \
	F(u64, files, OPT, 0)                                                                      \
	F(u64, insertions, OPT, 0)                                                                 \
	F(u64, deletions, OPT, 0)                                                                  \
	F(str, reason, OPT, TEXT_MAX)                                                              \
	F(bool, failed, OPT, 0) /* nothing usable came of it, whatever the tasks say */            \
	F(str, pull_url, OPT, TEXT_MAX)                                                            \
	F(str, base, OPT, 64) /* what the work is to be compared with, when that has moved */      \
	F(str, question, OPT, TEXT_MAX) /* what a person must see to, though the run has ended */

/*
 * A round of reviews begins: review_json is {"tasks": [{"task": id, "text": what is asked of it}], ...}, of
 * which orchd reads the tasks: each is integrated and goes back to work. It keeps all of it, and gives it back
 * in ROUND, until the round is over (done). Repeating a round that began changes nothing.
 */
#define MSG_REVIEW_FIELDS(F)                                                                       \
	F(u64, round, REQ, 0)                                                                      \
	F(str, review_json, OPT, REVIEW_MAX)                                                       \
	F(bool, done, OPT, 0)

/*
 * For the history. kind: a short word such as "commit", "gate", "retry". saved: the ref that holds work of
 * the task that no branch does, from now on; empty: there is none any more. Such an event may also speak of a
 * child's child.
 */
#define MSG_EVENT_FIELDS(F)                                                                        \
	F(str, task, OPT, NAME_MAX_BYTES)                                                          \
	F(str, kind, REQ, 32)                                                                      \
	F(str, text, REQ, TEXT_MAX)                                                                \
	F(str, saved, OPT, REF_MAX)

/* What the sender's task is doing now; kept in memory only, not acknowledged. */
#define MSG_PROGRESS_FIELDS(F)                                                                     \
	F(str, doing, REQ, 512)                                                                    \
	F(u64, files, OPT, 0) /* that its agent has edited so far; 0: as before */                 \
	F(u64, tokens_in, OPT, 0)                                                                  \
	F(u64, tokens_out, OPT, 0)                                                                 \
	F(u64, cost_uusd, OPT, 0)

/*
 * The run waits for a person: approval: for a yes to the plan that was stored before, else for an answer to
 * the planning agent's question. The sender's process ends after it; another is started when it is answered,
 * with all that was asked and answered so far as evidence.
 */
#define MSG_ASK_FIELDS(F)                                                                          \
	F(str, question, REQ, TEXT_MAX)                                                            \
	F(bool, approval, OPT, 0)

/* state: running or landing. */
#define MSG_RUN_STATE_FIELDS(F)                                                                    \
	F(str, state, REQ, NAME_MAX_BYTES)                                                         \
	F(str, branch, OPT, REF_MAX)

/*
 * issue: its number, or NULL for a text. base: the commit that --check resolved. again: when an unfinished run
 * of the same issue, or of the same title and body without one, is there, that one goes on instead.
 */
#define MSG_RUN_SUBMIT_FIELDS(F)                                                                   \
	F(str, issue, OPT, 32)                                                                     \
	F(str, title, REQ, TEXT_MAX)                                                               \
	F(str, body, REQ, GOAL_MAX)                                                                \
	F(str, base_branch, OPT, REF_MAX)                                                          \
	F(str, base, REQ, 64)                                                                      \
	F(str, plan_json, OPT, PLAN_MAX)                                                           \
	F(str, options_json, REQ, OPTIONS_MAX)                                                     \
	F(bool, again, OPT, 0)                                                                     \
	F(str, checkout, OPT, 4096) /* from which it was submitted: what is to be copied is there */ \
	F(bool, approve, OPT, 0)    /* its plan is shown, and waits for a yes */                   \
	F(bool, plan_only, OPT, 0)  /* it ends when it has a plan */                              \
	F(bool, restored, OPT, 0)   /* it goes on from the RESTOREs that came before */

#define MSG_RUN_ACCEPTED_FIELDS(F)                                                                 \
	F(str, run, REQ, NAME_MAX_BYTES)                                                           \
	F(u64, ahead, OPT, 0) /* runs queued before it */                                          \
	F(bool, again, OPT, 0) /* it was there already */

/*
 * Answer: DAEMON_INFO, then per run RUN_INFO and its TASK_INFOs, then END. run NULL: the active
 * run, else the last one; all: every run (RUN_INFO only). With watch the answer goes on after
 * END: RUN_INFO, TASK_INFO and EVENT_INFO whenever something changes, same request id. A director is told of its
 * own run only, whatever it says, and without DAEMON_INFO.
 */
#define MSG_STATUS_FIELDS(F)                                                                       \
	F(str, run, OPT, NAME_MAX_BYTES)                                                           \
	F(bool, all, OPT, 0)                                                                       \
	F(bool, watch, OPT, 0)

#define MSG_DAEMON_INFO_FIELDS(F)                                                                  \
	F(str, version, REQ, 64)                                                                   \
	F(u64, pid, REQ, 0)                                                                        \
	F(u64, started_at, REQ, 0)                                                                 \
	F(u64, now, REQ, 0)                                                                        \
	F(str, git_dir, REQ, 4096)                                                                 \
	F(str, state_dir, REQ, 4096)                                                               \
	F(u64, runs_queued, OPT, 0)                                                                \
	F(bool, stopping, OPT, 0)

#define MSG_RUN_INFO_FIELDS(F)                                                                     \
	F(str, run, REQ, NAME_MAX_BYTES)                                                           \
	F(str, issue, OPT, 32)                                                                     \
	F(str, title, REQ, TEXT_MAX)                                                               \
	F(str, state, REQ, NAME_MAX_BYTES)                                                         \
	F(bool, stopped, OPT, 0)     /* by orchctl stop: waits for orchctl resume */               \
	F(str, question, OPT, TEXT_MAX) /* needs-human */                                          \
	F(bool, asked, OPT, 0)          /* it waits for `orchctl answer` */                        \
	F(str, reason, OPT, TEXT_MAX)                                                              \
	F(str, branch, OPT, REF_MAX)                                                               \
	F(str, base_branch, OPT, REF_MAX)                                                          \
	F(str, base, OPT, 64)                                                                      \
	F(str, head, OPT, 64)                                                                      \
	F(u64, created_at, REQ, 0)                                                                 \
	F(u64, started_at, OPT, 0)                                                                 \
	F(u64, ended_at, OPT, 0)                                                                   \
	F(u64, max_ems, REQ, 0)                                                                    \
	F(u64, max_workers_per_em, REQ, 0)                                                         \
	F(u64, ems, OPT, 0)     /* slots held now */                                               \
	F(u64, workers, OPT, 0)                                                                    \
	F(u64, waiting, OPT, 0) /* tasks not ended that have no process */                         \
	F(u64, tasks, OPT, 0)   /* areas and workers' tasks, all and integrated */                 \
	F(u64, integrated, OPT, 0)                                                                 \
	F(u64, failed, OPT, 0)                                                                     \
	F(u64, files, OPT, 0)                                                                      \
	F(u64, insertions, OPT, 0)                                                                 \
	F(u64, deletions, OPT, 0)                                                                  \
	F(u64, cost_uusd, OPT, 0)                                                                  \
	F(u64, tokens_in, OPT, 0)                                                                  \
	F(u64, tokens_out, OPT, 0)                                                                 \
	F(str, log_dir, OPT, 4096)                                                                 \
	F(u64, max_cost_uusd, OPT, 0) /* budgets; 0: none */                                       \
	F(u64, max_tokens, OPT, 0)                                                                 \
	F(u64, max_minutes, OPT, 0)                                                                \
	F(str, pull_url, OPT, TEXT_MAX) /* of the pull request */                                  \
	F(str, prices, OPT, 32)         /* date of those that its cost was counted by; absent: its agents said it */

/* unit: the process: none, starting, ready, stopping, draining, backoff, parked. */
#define MSG_TASK_INFO_FIELDS(F)                                                                    \
	F(str, task, REQ, NAME_MAX_BYTES)                                                          \
	F(str, run, REQ, NAME_MAX_BYTES)                                                           \
	F(str, parent, OPT, NAME_MAX_BYTES)                                                        \
	F(str, role, REQ, 32) /* director, em, worker */                                           \
	F(u64, ordinal, OPT, 0)                                                                    \
	F(str, key, OPT, NAME_MAX_BYTES)                                                           \
	F(str, title, REQ, TEXT_MAX)                                                               \
	F(str, state, REQ, NAME_MAX_BYTES)                                                         \
	F(u64, attempt, OPT, 0)                                                                    \
	F(u64, rework, OPT, 0)                                                                     \
	F(str, reason, OPT, TEXT_MAX)                                                              \
	F(u64, wait_until, OPT, 0)                                                                 \
	F(bool, limited, OPT, 0) /* a key's or login's limit is what it waits for */               \
	F(str, needs_json, OPT, LIST_MAX)                                                          \
	F(str, owns_json, OPT, LIST_MAX)                                                           \
	F(str, branch, OPT, REF_MAX)                                                               \
	F(str, base, OPT, 64)                                                                      \
	F(str, head, OPT, 64)                                                                      \
	F(str, session, OPT, NAME_MAX_BYTES)                                                       \
	F(str, unit, REQ, 32)                                                                      \
	F(u64, pid, OPT, 0)                                                                        \
	F(u64, restarts, OPT, 0)                                                                   \
	F(str, doing, OPT, 512)                                                                    \
	F(u64, doing_at, OPT, 0)                                                                   \
	F(u64, created_at, REQ, 0)                                                                 \
	F(u64, started_at, OPT, 0)                                                                 \
	F(u64, changed_at, OPT, 0) /* of state */                                                  \
	F(u64, ended_at, OPT, 0)                                                                   \
	F(u64, files, OPT, 0)                                                                      \
	F(u64, insertions, OPT, 0)                                                                 \
	F(u64, deletions, OPT, 0)                                                                  \
	F(u64, cost_uusd, OPT, 0)                                                                  \
	F(u64, tokens_in, OPT, 0)                                                                  \
	F(u64, tokens_out, OPT, 0)                                                                 \
	F(str, saved, OPT, REF_MAX) /* ref with work that no branch holds */                       \
	F(u64, review_round, OPT, 0) /* the last round of reviews that it was done again for */    \
	F(str, said, OPT, TEXT_MAX)  /* what its agent said then */                                \
	F(str, log, OPT, 4096) /* file with this task's stderr */

/*
 * The history from after_seq on, oldest first; at most limit of the newest (0: all). run, task: only
 * theirs (a task with its children). Answer: EVENT_INFOs, END; with follow more EVENT_INFOs come after END.
 */
#define MSG_EVENTS_FIELDS(F)                                                                       \
	F(u64, after_seq, OPT, 0)                                                                  \
	F(u64, limit, OPT, 0)                                                                      \
	F(str, run, OPT, NAME_MAX_BYTES)                                                           \
	F(str, task, OPT, NAME_MAX_BYTES)                                                          \
	F(bool, follow, OPT, 0)

/* kind "state": the task (or run, when task is NULL) entered state; text says why. */
#define MSG_EVENT_INFO_FIELDS(F)                                                                   \
	F(u64, seq, REQ, 0)                                                                        \
	F(u64, at, REQ, 0)                                                                         \
	F(str, run, OPT, NAME_MAX_BYTES)                                                           \
	F(str, task, OPT, NAME_MAX_BYTES)                                                          \
	F(str, kind, REQ, 32)                                                                      \
	F(str, state, OPT, NAME_MAX_BYTES)                                                         \
	F(str, text, OPT, TEXT_MAX)

/* A subscriber read too slowly: so many messages were not sent to it. */
#define MSG_LOST_FIELDS(F) F(u64, count, REQ, 0)

/* now: skip the grace. The run stays unfinished until RESUME. ACK comes when everything has ended. */
/* keep: nothing is ended but orchd; the one that is installed now goes on in its process. */
#define MSG_SHUTDOWN_FIELDS(F)                                                                     \
	F(bool, now, OPT, 0)                                                                       \
	F(bool, keep, OPT, 0)                                                                      \
	F(bool, save, OPT, 0) /* runs that have a token are pushed, with their state, before orchd leaves */

/* Of the asker's own run. */
#define MSG_DUMP_FIELDS(F) F(bool, all, OPT, 0)
/* One line of what supervisor/portable writes: nobody between two orchds reads it. */
#define MSG_SAVED_ROW_FIELDS(F) F(str, row, REQ, ROW_MAX)
/* Answered with ERROR as soon as something is wrong with it; all rows before are forgotten then. */
#define MSG_RESTORE_FIELDS(F) F(str, row, REQ, ROW_MAX)

/* target: a run id or a task id. */
#define MSG_CANCEL_FIELDS(F) F(str, target, REQ, NAME_MAX_BYTES)
/* KEYS with pending may have come before: the run's from here on, if it lacks its own or keyed says so. */
#define MSG_RETRY_FIELDS(F)                                                                        \
	F(str, target, REQ, NAME_MAX_BYTES)                                                        \
	F(bool, keyed, OPT, 0)
/* keyed: KEYS for it came just before, so that a run that was not stopped is no fault. */
#define MSG_RESUME_FIELDS(F)                                                                       \
	F(str, run, OPT, NAME_MAX_BYTES)                                                           \
	F(bool, keyed, OPT, 0)
/*
 * run NULL: the only one that asks. To a plan that waits for a yes, "yes" lets it go on and "no" cancels the
 * run; every other text, and every text to a question, goes to the planning agent. The ACK's text says which.
 */
#define MSG_ANSWER_FIELDS(F)                                                                       \
	F(str, run, OPT, NAME_MAX_BYTES)                                                           \
	F(str, text, REQ, ANSWER_MAX)
/*
 * The reviews of a run's pull request are to be looked at, now when the run has ended, else before it ends.
 * rounds: how many there may be in all; 0: as the run's options say. trust: of everybody, and of the token's
 * own user. KEYS and TOKEN with pending may have come before.
 */
#define MSG_ADDRESS_FIELDS(F)                                                                      \
	F(str, run, REQ, NAME_MAX_BYTES)                                                           \
	F(u64, pull, REQ, 0)                                                                       \
	F(u64, rounds, OPT, 0)                                                                     \
	F(bool, trust, OPT, 0)                                                                     \
	F(bool, keyed, OPT, 0)
/* Answer: PLAN_INFO, END. */
#define MSG_PLAN_GET_FIELDS(F) F(str, run, OPT, NAME_MAX_BYTES)
#define MSG_PLAN_INFO_FIELDS(F)                                                                    \
	F(str, run, REQ, NAME_MAX_BYTES)                                                           \
	F(str, plan_json, REQ, PLAN_MAX)

/* Deletes an ended run from the store, and its logs; its refs and worktrees are the asker's affair. */
#define MSG_FORGET_FIELDS(F) F(str, run, REQ, NAME_MAX_BYTES)

/*
 * The keys of a run (common/configs), kept in orchd's memory alone. pending: of the run that this client
 * submits next; else of run, or of the current one when that is NULL. if_missing: nothing happens unless
 * the run's keys were in the memory of an orchd that ended. The ACK's text says whose they are now.
 */
#define MSG_KEYS_FIELDS(F)                                                                         \
	F(secret, configs_json, REQ, KEYS_MAX + 1)                                                 \
	F(str, run, OPT, NAME_MAX_BYTES)                                                           \
	F(bool, pending, OPT, 0)                                                                   \
	F(bool, if_missing, OPT, 0)

/*
 * The token for GitHub of a run, kept in the memory of orchd and the run's director alone. pending, run and
 * if_missing: as with KEYS.
 */
#define MSG_TOKEN_FIELDS(F)                                                                        \
	F(secret, token, REQ, TOKEN_MAX)                                                           \
	F(str, run, OPT, NAME_MAX_BYTES)                                                           \
	F(bool, pending, OPT, 0)                                                                   \
	F(bool, if_missing, OPT, 0)

/* The token; without it, the question for the one that the director has: orchd was started anew. */
#define MSG_ROLE_TOKEN_FIELDS(F) F(secret, token, OPT, TOKEN_MAX)
#define MSG_HAS_TOKEN_FIELDS(F) F(secret, token, REQ, TOKEN_MAX)

/* The request id is the asker's on each of the two hops. payload comes back as it was. */
#define MSG_PROBE_FIELDS(F)                                                                        \
	F(str, task, REQ, NAME_MAX_BYTES)                                                          \
	F(str, payload, OPT, TEXT_MAX)
#define MSG_PROBED_FIELDS(F)                                                                       \
	F(str, task, REQ, NAME_MAX_BYTES)                                                          \
	F(str, payload, OPT, TEXT_MAX)                                                             \
	F(u64, pid, REQ, 0)
#define MSG_ROLE_PROBE_FIELDS(F) MSG_PROBE_FIELDS(F)
#define MSG_ROLE_PROBED_FIELDS(F) MSG_PROBED_FIELDS(F)

/* The keys of a run; absent: that run has none any more. current: they are the ones to use. */
#define MSG_GW_KEYS_FIELDS(F)                                                                      \
	F(str, run, REQ, NAME_MAX_BYTES)                                                           \
	F(secret, configs_json, OPT, KEYS_MAX + 1)                                                 \
	F(bool, current, OPT, 0)                                                                   \
	F(str, prices_json, OPT, OPTIONS_MAX) /* of the run, beside the built-in ones */
#define MSG_GW_HAS_KEYS_FIELDS(F) MSG_GW_KEYS_FIELDS(F)

/* All that it holds has been told; it serves agents on this port of 127.0.0.1. */
#define MSG_GW_READY_FIELDS(F) F(u64, port, REQ, 0)

/* An attempt begins; a task has one token at a time. DEL: it has ended. */
#define MSG_GW_TOKEN_ADD_FIELDS(F)                                                                 \
	F(str, task, REQ, NAME_MAX_BYTES)                                                          \
	F(u64, attempt, REQ, 0)                                                                    \
	F(secret, token, REQ, 64)
#define MSG_GW_HAS_TOKEN_FIELDS(F) MSG_GW_TOKEN_ADD_FIELDS(F)
#define MSG_GW_TOKEN_DEL_FIELDS(F) F(str, task, REQ, NAME_MAX_BYTES)

/*
 * What a run or a task, with all below it, may use, and has used; max 0: no limit. own: target alone, not what
 * is below it. A gateway that counts for target already keeps its own count.
 */
#define MSG_GW_BUDGET_FIELDS(F)                                                                    \
	F(str, target, REQ, NAME_MAX_BYTES)                                                        \
	F(bool, own, OPT, 0)                                                                       \
	F(u64, max_uusd, OPT, 0)                                                                   \
	F(u64, max_tokens, OPT, 0)                                                                 \
	F(u64, used_uusd, OPT, 0)                                                                  \
	F(u64, used_tokens, OPT, 0)

/*
 * For the history. kind: "key" (its state changed), "switch", "wait", "limited" (no key until then), "cut",
 * "refused", "budget", "retry". task absent: it concerns all. until: of a wait.
 */
#define MSG_GW_NOTE_FIELDS(F)                                                                      \
	F(str, task, OPT, NAME_MAX_BYTES)                                                          \
	F(str, kind, REQ, 32)                                                                      \
	F(str, text, REQ, TEXT_MAX)                                                                \
	F(u64, until, OPT, 0)

/*
 * One request of an attempt, when it is over; acknowledged once durable. serial: from 1 in each gateway; one
 * that was counted is not counted again. Cache tokens are not part of input.
 */
#define MSG_GW_USAGE_FIELDS(F)                                                                     \
	F(u64, serial, REQ, 0)                                                                     \
	F(str, task, REQ, NAME_MAX_BYTES)                                                          \
	F(u64, attempt, OPT, 0)                                                                    \
	F(str, key, OPT, NAME_MAX_BYTES)                                                           \
	F(str, model, OPT, NAME_MAX_BYTES)                                                         \
	F(u64, status, OPT, 0)                                                                     \
	F(u64, input, OPT, 0)                                                                      \
	F(u64, output, OPT, 0)                                                                     \
	F(u64, cache_read, OPT, 0)                                                                 \
	F(u64, cache_write, OPT, 0)                                                                \
	F(u64, cost_uusd, OPT, 0)                                                                  \
	F(bool, known, OPT, 0) /* the answer said some numbers */                                  \
	F(bool, floor, OPT, 0) /* it cost at least this */                                         \
	F(bool, unpriced, OPT, 0) /* no price is known for its model */                            \
	F(u64, ms, OPT, 0)                                                                         \
	F(u64, waited_ms, OPT, 0) /* of these, for a key */                                        \
	F(u64, sent, OPT, 0)      /* how often it went upstream */                                 \
	F(str, request_id, OPT, NAME_MAX_BYTES)                                                    \
	F(str, why, OPT, TEXT_MAX)

/*
 * What is known of a key: a row per benched model family, else one. All are told, in one go, whenever
 * something changed. GW_KEY_KNOWN: what an earlier gateway knew, ahead of GW_KEYS.
 */
#define MSG_GW_KEY_STATE_FIELDS(F)                                                                 \
	F(str, run, REQ, NAME_MAX_BYTES)                                                           \
	F(str, name, REQ, NAME_MAX_BYTES)                                                          \
	F(str, endpoint, OPT, 4096)                                                                \
	F(str, organisation, OPT, NAME_MAX_BYTES)                                                  \
	F(str, state, REQ, 32)                                                                     \
	F(str, family, OPT, NAME_MAX_BYTES) /* benched: of these models, "*" for all */            \
	F(u64, until, OPT, 0)               /* 0: for good, or not known */                        \
	F(u64, since, OPT, 0)                                                                      \
	F(str, why, OPT, TEXT_MAX)                                                                 \
	F(u64, in_flight, OPT, 0)                                                                  \
	F(u64, limit, OPT, 0)                                                                      \
	F(u64, requests, OPT, 0)                                                                   \
	F(u64, tokens_in, OPT, 0)                                                                  \
	F(u64, tokens_out, OPT, 0)                                                                 \
	F(u64, cost_uusd, OPT, 0)                                                                  \
	F(bool, shared, OPT, 0) /* another key is of the same organisation: their limits are one */ \
	F(bool, first, OPT, 0)                                                                     \
	F(u64, rows, OPT, 0)    /* how many there are */                                           \
	F(str, prices, OPT, 32) /* date of those that cost is counted by; the gateway does not say it */
#define MSG_GW_KEY_KNOWN_FIELDS(F)                                                                 \
	F(str, run, REQ, NAME_MAX_BYTES)                                                           \
	F(str, name, REQ, NAME_MAX_BYTES)                                                          \
	F(str, state, REQ, 32)                                                                     \
	F(str, family, OPT, NAME_MAX_BYTES)                                                        \
	F(u64, until, OPT, 0)                                                                      \
	F(str, why, OPT, TEXT_MAX)

/* kind, text, until: as in GW_NOTE. */
#define MSG_SEEN_FIELDS(F)                                                                         \
	F(str, kind, REQ, 32)                                                                      \
	F(str, text, REQ, TEXT_MAX)                                                                \
	F(u64, until, OPT, 0)

/* run NULL: the current one. */
#define MSG_KEY_LIST_FIELDS(F) F(str, run, OPT, NAME_MAX_BYTES)
#define MSG_KEY_INFO_FIELDS(F) MSG_GW_KEY_STATE_FIELDS(F)

/* What the macros make of it. */

enum msg_id {
#define M(id, NAME, name, from, to) MSG_##NAME = id,
	MESSAGE_LIST(M)
#undef M
};

typedef uint64_t msg_kind_u64;
typedef int64_t msg_kind_i64;
typedef bool msg_kind_bool;
typedef const char *msg_kind_str;
typedef const char *msg_kind_secret;

struct msg_blob {
	const void *data;
	size_t size;
};
typedef struct msg_blob msg_kind_blob;

#define F(kind, name, need, max) msg_kind_##kind name;
#define M(id, NAME, name, from, to)                                                                \
	struct msg_##name {                                                                        \
		MSG_##NAME##_FIELDS(F)                                                             \
	};
MESSAGE_LIST(M)
#undef M
#undef F

/* A message of any type: the union's member is chosen by id. */
struct msg {
	enum msg_id id;
	uint32_t request; /* 0: none */
	union {
#define M(id, NAME, name, from, to) struct msg_##name name;
		MESSAGE_LIST(M)
#undef M
	};
};

#endif
