// Starts GraphiQL on the page's own gateway: the page names the endpoint.
const root = document.getElementById("graphiql");
const url = new URL(root.dataset.endpoint, document.baseURI).toString();
const query = `# Plain fields take no context; personalized ones take an optional one.
# Ctrl-Enter runs the operation, Ctrl-Space completes.
{
  __typename
}
`;
ReactDOM.createRoot(root).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url }),
    defaultQuery: query,
    shouldPersistHeaders: false,
  }),
);
