"use strict";
// The counselor's page. All texts are set as text, never as markup: rows come from anybody's data set.

const PAGE_SIZE = 20;
const find = (id) => document.getElementById(id);
let nextPage = null;
let latest = 0;

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function say(text, isError = false) {
  find("message").textContent = text;
  find("message").classList.toggle("error", isError);
}

function clear() {
  find("conversations").replaceChildren();
  find("answer").hidden = true;
  find("answer").replaceChildren();
  find("more").hidden = true;
  nextPage = null;
}

async function request(path, body) {
  const options = body && { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  let response;
  try {
    response = await fetch(path, options);
  } catch {
    throw new Error("The platform cannot be reached. Is it running?");
  }
  const found = await response.json().catch(() => ({}));
  if (response.ok) return found;
  const faults = (found.errors || []).map((fault) => `${fault.field}: ${fault.message}`).join("; ");
  const error = new Error([found.detail || found.title || `Error ${response.status}`, faults].filter(Boolean).join(" "));
  error.sources = found.sources;
  throw error;
}

function show(conversations) {
  for (const one of conversations) {
    const item = element("li");
    const number = find("conversations").children.length + 1;
    item.id = `source-${number}`;
    item.append(element("p", "question", one.question), element("p", "answer", one.answer));
    const facts = [`conversation ${one.id}`];
    if (one.question_sentiment) facts.push(`${one.question_sentiment} question, ${one.answer_sentiment} answer`);
    if (one.score !== undefined) facts.push(`likeness ${one.score.toFixed(2)}`);
    if (one.index_status && one.index_status !== "indexed") facts.push(`not yet found by meaning (${one.index_status})`);
    item.append(element("p", "facts", facts.join(" · ")));
    find("conversations").append(item);
  }
}

// Citations such as [2] become links to the source they name.
function showAnswer(answer) {
  const box = find("answer");
  for (const part of answer.answer.split(/(\[\d+\])/)) {
    const number = /^\[(\d+)\]$/.exec(part)?.[1];
    if (number && Number(number) >= 1 && Number(number) <= answer.sources.length) {
      const link = element("a", "", part);
      link.href = `#source-${number}`;
      box.append(link);
    } else {
      box.append(part);
    }
  }
  const origin = { extractive: "Quoted, not written by a language model.", none: "" }[answer.model];
  box.append(element("small", "", origin ?? `Written by ${answer.model} from the conversations below. Check it against them.`));
  box.hidden = false;
}

async function ask(fields) {
  const answer = await request("/api/v1/answers", { question: fields.question, top_k: Number(fields.top_k) });
  return () => {
    showAnswer(answer);
    show(answer.sources);
    say("");
  };
}

async function search(fields) {
  const body = { query: fields.query, limit: PAGE_SIZE };
  if (fields.question_sentiment) body.question_sentiment = [fields.question_sentiment];
  if (fields.answer_sentiment) body.answer_sentiment = [fields.answer_sentiment];
  const found = await request("/api/v1/search", body);
  return () => {
    show(found.hits);
    say(found.hits.length ? `The ${found.hits.length} nearest conversations, nearest first.` : "Nothing was found.");
  };
}

async function browse(fields, cursor) {
  const query = new URLSearchParams({ limit: PAGE_SIZE, sort: fields.newest ? "-id" : "id", include_total: "true" });
  if (fields.q.trim()) query.set("q", fields.q.trim());
  if (fields.question_sentiment) query.set("question_sentiment", fields.question_sentiment);
  if (cursor) query.set("cursor", cursor);
  const page = await request(`/api/v1/conversations?${query}`);
  return () => {
    show(page.items);
    say(`${find("conversations").children.length} of ${page.total} conversations.`);
    nextPage = page.next_cursor && (() => run(() => browse(fields, page.next_cursor)));
    find("more").hidden = !nextPage;
  };
}

// Of several requests under way only the latest is shown.
async function run(work) {
  const mine = ++latest;
  say("One moment …");
  try {
    const present = await work();
    if (mine === latest) present();
  } catch (error) {
    if (mine !== latest) return;
    say(error.message, true);
    if (error.sources) show(error.sources);
  }
}

const WORK = { ask, search, browse };

for (const [name, work] of Object.entries(WORK)) {
  find(name).addEventListener("submit", (event) => {
    event.preventDefault();
    clear();
    run(() => work(Object.fromEntries(new FormData(event.target))));
  });
}

document.querySelector("nav").addEventListener("click", (event) => {
  const view = event.target.dataset.view;
  if (!view) return;
  latest += 1;
  for (const button of document.querySelectorAll("nav [data-view]")) button.removeAttribute("aria-current");
  event.target.setAttribute("aria-current", "page");
  for (const name of Object.keys(WORK)) find(name).hidden = name !== view;
  clear();
  say("");
  find(view).querySelector("input, textarea").focus();
});

find("more").addEventListener("click", () => nextPage?.());
find("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("ask").requestSubmit();
});
