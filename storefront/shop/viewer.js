// Who looks at the shop: nobody in particular, or who signed in; and on whose behalf. Kept by this tab only.
const store = sessionStorage;

export const viewer = {
  /** The bearer token, null for a visitor. */
  get token() {
    return store.getItem("token");
  },
  /** Id of who signed in, null for a visitor. */
  get customerId() {
    return store.getItem("customer");
  },
  /** The customer that a consultant shops for, null for oneself. */
  get shopsFor() {
    return store.getItem("shops-for");
  },
  set shopsFor(customerId) {
    if (customerId) store.setItem("shops-for", customerId);
    else store.removeItem("shops-for");
  },
  signIn(token, customerId) {
    this.signOut();
    store.setItem("token", token);
    store.setItem("customer", customerId);
  },
  signOut() {
    for (const name of ["token", "customer", "shops-for"]) store.removeItem(name);
  },
  /** Headers that say who asks. */
  headers() {
    return this.token ? { Authorization: `Bearer ${this.token}` } : {};
  },
};
