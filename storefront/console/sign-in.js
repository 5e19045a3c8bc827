// A ticket in the address's fragment, or a token from the form, becomes a session; then the console is loaded.
const refusal = document.getElementById("refusal");

async function begin(request) {
  refusal.hidden = true;
  const answer = await fetch("/console/session", { method: "POST", ...request }).catch(() => null);
  if (answer?.ok) {
    location.replace("/console/");
    return;
  }
  const told = answer ? await answer.json().catch(() => ({})) : { detail: "the gateway does not answer" };
  refusal.textContent = `That did not work: ${told.detail ?? answer.status}.`;
  refusal.hidden = false;
}

function redeem() {
  const ticket = location.hash.slice(1);
  if (!ticket) return;
  history.replaceState(null, "", location.pathname); // neither history nor a copied address keeps the ticket
  begin({ headers: { "Content-Type": "application/json" }, body: JSON.stringify({ ticket }) });
}

document.getElementById("bearer").addEventListener("submit", (event) => {
  event.preventDefault();
  const token = new FormData(event.target).get("token").trim();
  event.target.reset();
  begin({ headers: { Authorization: `Bearer ${token}` } });
});
addEventListener("hashchange", redeem);
redeem();
