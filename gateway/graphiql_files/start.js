// Starts GraphiQL on the page's own gateway: the page names the endpoint.
const root = document.getElementById("graphiql");
const url = new URL(root.dataset.endpoint, document.baseURI).toString();
const query = `# Plain fields take no context. Personalized ones take an optional one, and may come later with @defer.
# Ctrl-Enter runs the operation, Ctrl-Space completes.
query Home {
  catalog(first: 4) {
    edges {
      node {
        id
        name
        price {
          amount
          currency
        }
      }
    }
  }
  ... @defer {
    recommendations(placement: HOME, first: 4, context: {}) {
      decision {
        action
        mode
      }
      products {
        id
        name
      }
    }
  }
}
`;
ReactDOM.createRoot(root).render(
  React.createElement(GraphiQL, {
    fetcher: GraphiQL.createFetcher({ url }),
    defaultQuery: query,
    shouldPersistHeaders: false,
  }),
);
