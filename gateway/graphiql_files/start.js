// Starts GraphiQL on the page's own gateway: the page names the endpoint. The tabs are the home page without and with
// a context, and the simplest plain query.
const root = document.getElementById("graphiql");
const url = new URL(root.dataset.endpoint, document.baseURI).toString();
const plain = `# Plain fields take no context: the same for everyone.
# Ctrl-Enter runs the operation, Ctrl-Space completes.
query Catalog {
  catalog(first: 3, search: "soap") {
    nodes { id name price { amount currency } }
    totalCount
  }
}
`;
const context = { context: { region: "US-NE", season: "SUMMER" } };
const home = await (await fetch(root.dataset.home)).text();
ReactDOM.createRoot(root).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url }),
    defaultTabs: [
      { query: home.replace("query Home(", "query HomeForMe("), variables: JSON.stringify(context, null, 2) },
      { query: home },
      { query: plain },
    ],
    shouldPersistHeaders: false,
  }),
);
