// What has a name has one colour, wherever it is drawn. Colours are those of the style sheet, so they follow its theme.
const FIXED = {
  VISITOR: 7, BUILDER: 4, CONSULTANT: 1, SHOP_OWNER: 2, DIRECT_CUSTOMER: 3,
  category1: 1, category2: 6, bestsellers: 2, trending: 4,
  model: 1, even: 7, holdback: 2, default: 5,
  KILL_SWITCH: 5, OVERRIDE: 4, RULE: 6, HOLDBACK: 2, EXPERIMENT: 8, BANDIT: 1, DEFAULT: 7,
  hit: 3, stale: 6, shared: 1, miss: 2, bypass: 7,
  p50: 3, p95: 2, p99: 5,
  join: 1, learn: 4, lake: 3,
  live: 3, retired: 7, candidate: 6, deployed: 3, refused: 5, customers: 1,
};
const OTHERS = [1, 2, 3, 4, 6, 8, 5, 7];

/** The colours of these names, no two of them alike as long as there are no more than eight. */
export function coloursOf(names) {
  const taken = new Set(names.filter((name) => name in FIXED).map((name) => FIXED[name]));
  const free = OTHERS.filter((each) => !taken.has(each));
  let next = 0;
  return Object.fromEntries(
    names.map((name) => [name, `var(--series-${FIXED[name] ?? (free[next++] ?? OTHERS[next % OTHERS.length])})`]),
  );
}
