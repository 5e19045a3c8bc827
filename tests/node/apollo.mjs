// Apollo Client against an address: `node apollo.mjs URL PLAIN_QUERY DEFERRED_QUERY`.
// Prints one JSON object with what each query gave: the media type of the answer and every state of the data on the way.
import { ApolloClient, HttpLink, InMemoryCache, gql } from "@apollo/client";
import { GraphQL17Alpha9Handler } from "@apollo/client/incremental";

const [uri, plain, deferred] = process.argv.slice(2);
if (!uri || !plain || !deferred) {
  console.error("usage: node apollo.mjs URL PLAIN_QUERY DEFERRED_QUERY");
  process.exit(2);
}

const mediaTypes = [];
async function noting(input, init) {
  const response = await fetch(input, init);
  mediaTypes.push(response.headers.get("content-type").split(";")[0]);
  return response;
}

const client = new ApolloClient({
  link: new HttpLink({ uri, fetch: noting }),
  cache: new InMemoryCache(),
  incrementalHandler: new GraphQL17Alpha9Handler(),
});

async function states(text) {
  const seen = [];
  await new Promise((resolve, reject) => {
    client.watchQuery({ query: gql(text), fetchPolicy: "network-only", errorPolicy: "all" }).subscribe({
      next(result) {
        if (result.dataState !== "empty") seen.push({ state: result.dataState, data: result.data });
        if (result.error) reject(result.error);
        if (!result.loading && result.dataState === "complete") resolve();
      },
      error: reject,
    });
  });
  return { media: mediaTypes.at(-1), states: seen };
}

const report = { plain: await states(plain), deferred: await states(deferred) };
console.log(JSON.stringify(report));
client.stop();
