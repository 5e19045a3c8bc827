// The home query's schema over values in memory, without personalization, on the servers that Node offers.
// node server.mjs yoga|mercurius PORT DATA.json SCHEMA.graphql
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

import { makeExecutableSchema } from '@graphql-tools/schema'
import Fastify from 'fastify'
import { createYoga } from 'graphql-yoga'
import mercurius from 'mercurius'

const [kind, port, dataFile, schemaFile] = process.argv.slice(2)
const page = JSON.parse(readFileSync(dataFile, 'utf8')).data
const typeDefs = readFileSync(schemaFile, 'utf8')

const products = new Map()
const listed = (product) => {
  products.set(product.id, product)
  return product.id
}
const catalog = page.catalog.edges.map(({ cursor, node }) => ({ cursor, id: listed(node) }))
const shelf = page.recommendations.products.map(listed)

const fact = (id) => {
  const { name, brand, size } = products.get(id)
  return { id, name, brand, size }
}
const resolvers = {
  Query: {
    catalog: (_, { first }) => ({
      edges: catalog.slice(0, first).map(({ cursor, id }) => ({ cursor, node: fact(id) })),
      pageInfo: page.catalog.pageInfo,
    }),
    recommendations: (_, { first }) => ({
      decision: page.recommendations.decision,
      products: shelf.slice(0, first).map(fact),
    }),
    components: () => page.components,
    segment: () => page.segment,
  },
  Product: {
    category: ({ id }) => products.get(id).category,
    price: ({ id }) => products.get(id).price,
    stock: ({ id }) => products.get(id).stock,
  },
}

const schema = makeExecutableSchema({ typeDefs, resolvers })
if (kind === 'yoga') {
  createServer(createYoga({ schema, logging: false, graphiql: false })).listen(Number(port), '127.0.0.1')
} else {
  const app = Fastify()
  app.register(mercurius, { schema, jit: 1 })
  await app.listen({ port: Number(port), host: '127.0.0.1' })
}
