"use strict";
// The counselor's page. All text is set as text, never as markup: the data set is untrusted.

const PAGE_SIZE = 20;
const find = (id) => document.getElementById(id);
const EVENT_STREAM = "text/event-stream";
const SESSIONS = "/api/v1/sessions";
const MAX_TURNS = 20;
const MAX_TURN_LENGTH = 8000;
const MAX_HISTORY_LENGTH = 32000;
const UNSCREENED = "This question was not screened for risk. Look for signs of risk yourself, and follow your crisis protocol if there are any.";
const FOR_PROFESSIONALS = "For professionals, not for patients. Words were noticed that often mean danger; it is no diagnosis.";
// Characters shown around words in which risk was noticed.
const CONTEXT = 80;
// What `unsafe_advice` says of an answer.
const ADVICE = {
  medication: "stopping, changing or refusing medication without who prescribes it",
  diagnosis: "giving a diagnosis",
  minimising: "playing the matter down",
  ultimatum: "a threat, an ultimatum or a rash separation",
  frightening: "frightening, shaming, pressing or isolating somebody",
  silence: "not asking about a danger",
  secrecy: "keeping a danger secret",
  leaving_alone: "leaving somebody alone who may be in danger",
  delay: "waiting, or doing without help, where it is needed",
  no_harm_contract: "relying on a promise not to harm oneself",
  encouraging_harm: "harm to oneself or to others",
};
// Milliseconds. An answer is stored shortly after it is complete.
const STORED_AFTER = [300, 1000, 2000];
let nextPage = null;
let latest = 0;
let underWay = null;
let turns = [];
// On the answer shown: its id, whether it is complete, and what was said of it before it was.
let feedback = null;

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
  clearRisk();
  find("conversations").replaceChildren();
  find("answer").hidden = true;
  find("answer").replaceChildren();
  find("more").hidden = true;
  nextPage = null;
}

async function send(path, body, accept = "application/json", signal = undefined, method = body ? "POST" : "GET") {
  const headers = { Accept: accept, ...(body && { "Content-Type": "application/json" }) };
  const options = { headers, signal, method, ...(body && { body: JSON.stringify(body) }) };
  let response;
  try {
    response = await fetch(path, options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The platform cannot be reached. Is it running?");
  }
  if (response.ok) return response;
  if (response.status === 401 && path !== SESSIONS) showSignIn();
  throw problemError(await response.json().catch(() => ({})), response.status);
}

function problemError(problem, status) {
  const faults = (problem.errors || []).map((fault) => `${fault.field}: ${fault.message}`).join("; ");
  const error = new Error([problem.detail || problem.title || `Error ${status}`, faults].filter(Boolean).join(" "));
  error.sources = problem.sources;
  error.status = status;
  error.noticed = problem.risk_notice && problem;
  return error;
}

async function request(path, body) {
  return (await send(path, body)).json();
}

// Server-sent events of a POST response, which EventSource does not support.
async function* serverEvents(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let buffer = "";
  for (;;) {
    const { value, done } = await reader.read().catch((error) => {
      if (error.name === "AbortError") throw error;
      return { done: true };
    });
    if (done) return;
    buffer += value;
    const blocks = buffer.split("\n\n");
    buffer = blocks.pop();
    for (const block of blocks) {
      const field = (name) => block.split("\n").find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      if (field("event")) yield { name: field("event"), data: JSON.parse(field("data")) };
    }
  }
}

// Highlights are counted in code points, JavaScript strings in UTF-16 code units.
function marked(className, text, marks = []) {
  const made = element("p", className);
  const points = Array.from(text);
  let end = 0;
  for (const [from, to] of marks) {
    made.append(points.slice(end, from).join(""), element("mark", "", points.slice(from, to).join("")));
    end = to;
  }
  made.append(points.slice(end).join(""));
  return made;
}

function button(text, work) {
  const made = element("button", "small", text);
  made.type = "button";
  made.addEventListener("click", work);
  return made;
}

// Other schemes, such as javascript:, could run code.
function isWebAddress(text) {
  return /^https?:\/\//i.test(text ?? "") && URL.canParse(text);
}

function webLink(address, text) {
  const link = element("a", "", text);
  link.href = address;
  link.rel = "noopener noreferrer";
  link.target = "_blank";
  return link;
}

function clearRisk() {
  delete find("risk").dataset.level;
  find("risk").removeAttribute("aria-label");
  find("risk-line").textContent = "";
  find("risk-details").replaceChildren();
  find("risk-toggle").hidden = true;
}

// Shows what was noticed, above everything else; without a question, as one line. It never takes the focus: the line is
// announced when the reader pauses.
function showRisk({ risk, risk_notice: notice }, question) {
  const line = notice?.summary ?? (risk.screened ? "" : UNSCREENED);
  if (!line) return;
  find("risk").dataset.level = risk.screened ? risk.level : "unscreened";
  find("risk").setAttribute("aria-label", "Notice of risk");
  find("risk-line").textContent = line;
  if (!risk.screened || question === undefined) return;
  find("risk-details").replaceChildren(...riskDetails(risk, notice, question));
  const toggle = find("risk-toggle");
  const fold = (isFolded) => {
    find("risk-line").textContent = isFolded ? `Risk noticed (${facts(risk)}), marked as not relevant.` : line;
    find("risk-details").hidden = isFolded;
    toggle.textContent = isFolded ? "Relevant after all" : "Not relevant";
    toggle.onclick = () => {
      rate({ risk_notice: isFolded ? "relevant" : "not_relevant" });
      fold(!isFolded);
    };
  };
  fold(false);
  toggle.hidden = false;
}

function facts(risk) {
  return [risk.level, ...risk.categories.map((one) => one.replace("self_", "self-").replaceAll("_", " "))].join(", ");
}

function riskDetails(risk, notice, question) {
  const list = (title, items) => {
    const made = element("ul");
    made.append(...items);
    return items.length ? [element("h2", "", title), made] : [];
  };
  const skip = element("a", "", "to the answer");
  skip.href = "#answer";
  const line = element("p", "facts", `level: ${facts(risk)} · `);
  line.append(skip);
  return [
    line,
    ...excerpts(question, risk.spans.filter((span) => ["elevated", "acute"].includes(span.level))),
    ...list("To ask", notice.questions.map((text) => element("li", "", text))),
    ...list("Helplines", notice.helplines.map(helpline)),
    ...(notice.helplines_note ? [element("p", "", notice.helplines_note)] : []),
    element("small", "", FOR_PROFESSIONALS),
  ];
}

// The words in which risk was noticed, marked, with those around them. Spans may overlap, marks do not.
function excerpts(question, spans) {
  const points = Array.from(question.normalize("NFC"));
  const found = [];
  for (const { start, end } of spans.toSorted((one, other) => one.start - other.start)) {
    const last = found.at(-1);
    const mark = last?.marks.at(-1);
    if (mark && start <= mark[1]) {
      mark[1] = Math.max(mark[1], end);
      last.to = mark[1] + CONTEXT;
    } else if (last && start - CONTEXT <= last.to) {
      last.marks.push([start, end]);
      last.to = end + CONTEXT;
    } else {
      found.push({ from: Math.max(0, start - CONTEXT), to: end + CONTEXT, marks: [[start, end]] });
    }
  }
  const isInWord = (place) => place >= 0 && place < points.length && /\S/.test(points[place]);
  return found.map(({ from, to, marks }) => {
    while (from < marks[0][0] && isInWord(from - 1)) from += 1;
    while (to > marks.at(-1)[1] && isInWord(to)) to -= 1;
    const shifted = marks.map(([start, end]) => [start - from, end - from]);
    const made = marked("seen", points.slice(from, to).join(""), shifted);
    if (from > 0) made.prepend("… ");
    if (to < points.length) made.append(" …");
    return made;
  });
}

function helpline(one) {
  const item = element("li", "", `${one.country === "INTL" ? "international" : one.country} · ${one.name}`);
  const ways = [one.call && phoneLink(one.call), one.text && `text ${one.text}`];
  if (isWebAddress(one.url)) ways.push(webLink(one.url, new URL(one.url).host));
  ways.push(one.hours);
  for (const way of ways.filter(Boolean)) item.append(" · ", way);
  if (!one.is_checked) item.append(" · ", element("strong", "", ["unchecked", one.checked_on].filter(Boolean).join(" since ")));
  if (one.note) item.append(" · ", one.note);
  return item;
}

function phoneLink(number) {
  const link = element("a", "", number);
  link.href = `tel:${number.replace(/[^\d+*#]/g, "").replaceAll("#", "%23")}`;
  return link;
}

function show(conversations) {
  for (const one of conversations) {
    const item = element("li");
    const number = find("conversations").children.length + 1;
    item.id = `source-${number}`;
    const { question = [], answer = [] } = one.highlights ?? {};
    item.append(marked("question", one.question, question), marked("answer", one.answer, answer));
    const facts = [`conversation ${one.id}`];
    if (one.question_sentiment) facts.push(`${one.question_sentiment} question, ${one.answer_sentiment} answer`);
    if (one.score !== undefined) facts.push(`score ${one.score.toFixed(2)}`);
    if (one.index_status && one.index_status !== "indexed") facts.push(`not yet in semantic search (${one.index_status})`);
    facts.push(...[one.category, one.author, one.source_date].filter(Boolean));
    if (one.risk_level && one.risk_level !== "none") facts.push(`risk: ${one.risk_level}`);
    if (one.review_state && one.review_state !== "unreviewed") facts.push(`${one.review_state} by a curator`);
    const line = element("p", "facts", facts.join(" · "));
    if (isWebAddress(one.source_url)) line.append(" · ", webLink(one.source_url, `source at ${new URL(one.source_url).host}`));
    if (one.unsafe_advice in ADVICE) item.append(reviewMark(one.unsafe_advice));
    item.append(line, button("Similar questions", () => showSimilar(one.id)));
    find("conversations").append(item);
  }
}

function reviewMark(kind) {
  const mark = element("p", "review", "For curators: ");
  mark.append(element("strong", "", "this answer may give advice that can do harm"), ` (${ADVICE[kind]}). `);
  mark.append("Rules of words marked it, which can be wrong. The platform does not quote such sentences.");
  return mark;
}

const DOUBTS = {
  unlike: "nothing like it was found in the source that it cites",
  number: "it has a number that is not in the source that it cites",
  name: "it has a name that is not in the source that it cites",
  negation: "it may say the opposite of the source that it cites",
};
const UNCHECKED = "it could not be compared with the source that it cites";

// Turns citations such as [2] into links to their sources. The server never splits a citation between two tokens.
function addText(text, count, parent = find("answer")) {
  for (const part of text.split(/(\[\d+\])/)) {
    const number = /^\[(\d+)\]$/.exec(part)?.[1];
    if (number && Number(number) >= 1 && Number(number) <= count) {
      const link = element("a", "", part);
      link.href = `#source-${number}`;
      parent.append(link);
    } else {
      parent.append(part);
    }
  }
}

// Why a sentence of a language model is to be read in its source; undefined if it is not.
function doubt({ support, doubt: reason }) {
  if (support === "not_checked") return UNCHECKED;
  return support === "unsupported" ? (DOUBTS[reason] ?? "its source does not seem to say so") : undefined;
}

// Where sentences stand in a text. They have their citations in another place, so these and blanks are passed over.
function* places(text, sentences) {
  const bare = [];
  for (const { 0: part, index } of text.matchAll(/\[\d+\]|\S/g)) if (part.length === 1) bare.push([part, index]);
  const letters = bare.map(([letter]) => letter).join("");
  let from = 0;
  for (const sentence of sentences) {
    const sought = sentence.text.replace(/\[\d+\]|\s/g, "");
    const start = letters.indexOf(sought, from);
    if (!sought || start < 0) continue;
    from = start + sought.length;
    yield { sentence, start: bare[start][1], end: bare[from - 1][1] + 1 };
  }
}

// Marks what the sources do not seem to support, in the text and in a list that says why.
function addDoubts(text, count, checked) {
  const doubtful = checked.filter(doubt);
  if (!doubtful.length) return;
  find("answer").replaceChildren();
  let end = 0;
  for (const place of places(text, doubtful)) {
    addText(text.slice(end, place.start), count);
    const mark = element("mark", "doubt");
    mark.title = doubt(place.sentence);
    addText(text.slice(place.start, place.end), count, mark);
    find("answer").append(mark);
    end = place.end;
  }
  addText(text.slice(end), count);
  const list = element("ul");
  list.append(...doubtful.map((one) => element("li", "", `“${one.text}”: ${doubt(one)}.`)));
  const box = element("div", "doubts", "Read these sentences in their sources before you rely on them. A program compared the two, and it can be wrong:");
  box.append(list);
  find("answer").append(box);
}

function languageName(code) {
  return new Intl.DisplayNames("en", { type: "language" }).of(code);
}

function addOrigin(done) {
  const origin = { extractive: "Quoted from the conversations below, not written by a language model.", none: "" };
  const uncited = done.uncited_sentences.length;
  // A text that stands in the place of the model's says so itself.
  const written = done.withheld ? "" : `Written by ${done.model} from the conversations below. Check it against them.`;
  const parts = [origin[done.model] ?? written];
  if (uncited) parts.push(`${uncited === 1 ? "One sentence cites" : `${uncited} sentences cite`} no source.`);
  const { answer_language: written_in, question_language: asked_in } = done;
  if (written_in && asked_in && written_in !== asked_in) parts.push(`It is in ${languageName(written_in)}, although the question is in ${languageName(asked_in)}.`);
  find("answer").append(element("small", "", parts.join(" ")));
  if (done.model === "none") return;
  for (const [rating, text] of [["up", "Helpful"], ["down", "Not helpful"]]) {
    find("answer").append(button(text, () => rate({ rating })), " ");
  }
}

// Only a complete answer is stored: what is said before is sent then.
async function rate(said) {
  const mine = feedback;
  if (!mine.isComplete) {
    Object.assign(mine.said, said);
    return;
  }
  const outcome = await sendFeedback(mine.answerId, said).then(() => ["Thank you for your feedback."], (error) => [error.message, true]);
  if (mine === feedback) say(...outcome);
}

async function sendFeedback(answerId, said) {
  for (const delay of [...STORED_AFTER, null]) {
    try {
      return await request(`/api/v1/answers/${answerId}/feedback`, said);
    } catch (error) {
      if (error.status !== 404 || delay === null) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, delay));
  }
}

function remember(question, answer) {
  turns.push({ role: "user", content: question }, { role: "assistant", content: answer.slice(0, MAX_TURN_LENGTH) });
  const length = () => turns.reduce((sum, turn) => sum + turn.content.length, 0);
  while (turns.length > MAX_TURNS || length() > MAX_HISTORY_LENGTH) turns.splice(0, 2);
  find("follow-up").hidden = false;
}

// Shows an answer as it is streamed: what was noticed first, then its sources.
async function ask(fields, isLatest) {
  if (!fields.follow_up) turns = [];
  feedback = { isComplete: false, said: {} };
  const body = { question: fields.question.trim(), top_k: Number(fields.top_k), conversation_history: turns };
  const response = await send("/api/v1/answers", body, EVENT_STREAM, underWay.signal);
  let count = 0;
  let text = "";
  for await (const { name, data } of serverEvents(response)) {
    if (!isLatest()) return;
    if (name === "risk") {
      showRisk(data, body.question);
    } else if (name === "sources") {
      count = data.sources.length;
      feedback.answerId = data.answer_id;
      show(data.sources);
      say(data.query_origin === "question" ? "" : `Searched for: ${data.standalone_query}`);
      find("answer").hidden = false;
    } else if (name === "token") {
      text += data.text;
      addText(data.text, count);
    } else if (name === "done") {
      addDoubts(text, count, data.checked_sentences ?? []);
      addOrigin(data);
      remember(body.question, text);
      feedback.isComplete = true;
      if (Object.keys(feedback.said).length) rate(feedback.said);
      return;
    } else if (name === "error") {
      throw problemError(data, data.status);
    }
  }
  throw new Error("The connection was lost; the answer is incomplete.");
}

async function runAsk(fields) {
  const mine = ++latest;
  underWay = new AbortController();
  find("stop").hidden = false;
  find("answer").setAttribute("aria-busy", "true");
  say("Loading …");
  try {
    await ask(fields, () => mine === latest);
  } catch (error) {
    if (mine !== latest) return;
    if (error.name === "AbortError") say("Stopped; the answer is incomplete.");
    else say(error.message, true);
    if (error.noticed) showRisk(error.noticed, fields.question.trim());
    if (error.sources) show(error.sources);
  } finally {
    if (mine === latest) settle();
  }
}

function settle() {
  underWay?.abort();
  underWay = null;
  find("stop").hidden = true;
  find("answer").setAttribute("aria-busy", "false");
}

async function search(fields) {
  const body = { query: fields.query, limit: PAGE_SIZE };
  if (fields.question_sentiment) body.question_sentiment = [fields.question_sentiment];
  if (fields.answer_sentiment) body.answer_sentiment = [fields.answer_sentiment];
  const found = await request("/api/v1/search", body);
  return () => {
    showRisk(found);
    show(found.hits);
    say(outcome(found));
  };
}

function outcome({ hits, relevance_threshold: threshold }) {
  if (!hits.length) return "Nothing found.";
  if (threshold !== null && hits[0].relevance < threshold) return "Nothing relevant found. The closest conversations:";
  return hits.length === 1 ? "One conversation found." : `The ${hits.length} closest conversations, best match first.`;
}

function showSimilar(id) {
  settle();
  clear();
  run(async () => {
    const found = await request(`/api/v1/conversations/${id}/similar?limit=${PAGE_SIZE}`);
    return () => {
      show(found.hits);
      say(found.hits.length ? `Questions similar to that of conversation ${id}, best match first.` : "There are no other questions.");
    };
  });
}

async function browse(fields, cursor) {
  const query = new URLSearchParams({ limit: PAGE_SIZE, sort: fields.newest ? "-id" : "id", include_total: "true" });
  if (fields.q.trim()) query.set("q", fields.q.trim());
  if (fields.question_sentiment) query.set("question_sentiment", fields.question_sentiment);
  if (fields.unsafe) for (const kind of Object.keys(ADVICE)) query.append("unsafe_advice", kind);
  if (cursor) query.set("cursor", cursor);
  const page = await request(`/api/v1/conversations?${query}`);
  return () => {
    show(page.items);
    say(`${find("conversations").children.length} of ${page.total} conversations.`);
    nextPage = page.next_cursor && (() => run(() => browse(fields, page.next_cursor)));
    find("more").hidden = !nextPage;
  };
}

// If several requests are in progress, only the latest result is shown.
async function run(work) {
  const mine = ++latest;
  say("Loading …");
  try {
    const present = await work();
    if (mine === latest) present();
  } catch (error) {
    if (mine !== latest) return;
    say(error.message, true);
    if (error.noticed) showRisk(error.noticed);
  }
}

const IDENTIFIERS = {
  off: "as they are, with names and whatever else identifies somebody",
  pseudonymise: "with pseudonyms in place of the names and other identifiers that are recognised; others stay in them",
  refuse: "unless names or other identifiers are recognised in them",
};

// Who gets a question is said before it is asked.
function askRecipient({ language_model: model, embedding }) {
  if (!model) return `No language model is asked. ${searchRecipient({ embedding })}`;
  if (!model.remote) return `Answers are written by ${model.name} (${model.recipient}). ${searchRecipient({ embedding })}`;
  const sent = `Your question, its history and the conversations found are sent to ${model.recipient} (${model.name}), `;
  return `${sent}${IDENTIFIERS[model.phi_mode]}.${embedding.remote ? ` ${searchRecipient({ embedding })}` : ""}`;
}

function searchRecipient({ embedding }) {
  if (!embedding.remote) return "What you type stays on this platform.";
  return `What you type is sent to ${embedding.recipient} (${embedding.name}) for the search, ${IDENTIFIERS[embedding.phi_mode]}.`;
}

async function showRecipients() {
  let about;
  try {
    about = await request("/api/v1/about");
  } catch {
    find("ask-recipient").textContent = "The platform does not say where questions are sent.";
    return;
  }
  find("ask-recipient").textContent = askRecipient(about);
  find("search-recipient").textContent = searchRecipient(about);
}

// With accounts, nothing but the form to sign in is shown to who has not. What was typed stays where it is.
function showSignIn() {
  const isNew = find("sign-in").hidden;
  find("account").hidden = true;
  document.querySelector("nav").hidden = true;
  for (const name of Object.keys(WORK)) find(name).hidden = true;
  find("sign-in").hidden = false;
  settle();
  clear();
  if (isNew) {
    find("sign-in").querySelector("input").focus();
    offerProvider();
  }
}

// A link and no script: the provider's page replaces this one, and sends the browser back here.
async function offerProvider() {
  const { name } = await request("/api/v1/oidc").catch(() => ({}));
  const place = encodeURIComponent(location.pathname + location.hash);
  find("provider").textContent = `Sign in with ${name}`;
  find("provider").href = `/api/v1/oidc/start?return_to=${place}`;
  find("provider").hidden = !name;
}

async function showAccount() {
  // Whatever else is wrong shows at the first question.
  let me = { kind: "local" };
  try {
    me = await request("/api/v1/me");
  } catch (error) {
    if (error.status === 401) return;
  }
  find("sign-in").hidden = true;
  document.querySelector("nav").hidden = false;
  const view = document.querySelector("nav [aria-current]").dataset.view;
  for (const name of Object.keys(WORK)) find(name).hidden = name !== view;
  find("account").hidden = me.kind === "local";
  find("account").querySelector("span").textContent = `Signed in as ${me.display_name ?? me.username} (${me.role}).`;
  say("");
  showRecipients();
}

async function signIn(fields) {
  say("");
  try {
    await send(SESSIONS, { username: fields.username.trim(), password: fields.password, cookie: true });
  } catch (error) {
    say(error.message, true);
    return;
  }
  find("sign-in").reset();
  await showAccount();
}

async function signOut() {
  turns = [];
  try {
    await send(`${SESSIONS}/current`, undefined, undefined, undefined, "DELETE");
  } catch (error) {
    if (error.status !== 401) {
      say(error.message, true);
      return;
    }
  }
  for (const name of Object.keys(WORK)) find(name).reset();
  find("follow-up").hidden = true;
  showSignIn();
  say("Signed out.");
}

const WORK = {
  ask: runAsk,
  search: (fields) => run(() => search(fields)),
  browse: (fields) => run(() => browse(fields)),
};

for (const [name, work] of Object.entries(WORK)) {
  find(name).addEventListener("submit", (event) => {
    event.preventDefault();
    settle();
    clear();
    work(Object.fromEntries(new FormData(event.target)));
  });
}

document.querySelector("nav").addEventListener("click", (event) => {
  const view = event.target.dataset.view;
  if (!view) return;
  latest += 1;
  settle();
  for (const button of document.querySelectorAll("nav [data-view]")) button.removeAttribute("aria-current");
  event.target.setAttribute("aria-current", "page");
  for (const name of Object.keys(WORK)) find(name).hidden = name !== view;
  clear();
  say("");
  find(view).querySelector("input, textarea").focus();
});

find("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  signIn(Object.fromEntries(new FormData(event.target)));
});
find("account").querySelector("button").addEventListener("click", signOut);
find("stop").addEventListener("click", () => underWay?.abort());
find("more").addEventListener("click", () => nextPage?.());
find("question").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) find("ask").requestSubmit();
});
showAccount();
