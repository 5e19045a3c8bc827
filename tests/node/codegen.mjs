// GraphQL Code Generator: TypeScript types of a schema. SCHEMA is the file to read, OUT the file to write.
const { SCHEMA: schema = "../../schema.graphql", OUT: out = "generated/schema.ts" } = process.env;

export default {
  schema,
  generates: {
    [out]: {
      plugins: ["typescript"],
      config: { strictScalars: true, scalars: { DateTime: "string", Decimal: "string", JSON: "Record<string, unknown>" }, enumsAsTypes: true },
    },
  },
};
