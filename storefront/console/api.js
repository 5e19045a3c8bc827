// What the gateway is asked. A refusal is an error with the sentence that the gateway gave.
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

async function told(answer) {
  if (answer.ok) return answer.json();
  const problem = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, problem.detail ?? `the gateway answered ${answer.status}`);
}

export async function ask(view, query = {}) {
  const given = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== "" && value !== null));
  const answer = await fetch(`/console/api/${view}?${given}`, { signal: AbortSignal.timeout(15_000) });
  return told(answer);
}

export async function change(what, csrf, body) {
  const answer = await fetch(`/console/api/${what}`, {
    method: "POST",
    headers: { "Content-Type": "application/json", "Console-Csrf": csrf ?? "" },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(20_000),
  });
  return told(answer);
}

export const leave = () => fetch("/console/session", { method: "DELETE" });
