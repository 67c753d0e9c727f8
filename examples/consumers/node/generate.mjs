// Makes generated/verdict.ts from the JSON Schema. Integers of 64 bits become bigint: a number holds 53.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { compile } from 'json-schema-to-typescript'

const path = new URL('../../../schemas/json/verdict.v2.schema.json', import.meta.url)
const schema = JSON.parse(readFileSync(path, 'utf8'), (_name, value) =>
  value?.format === 'int64' ? { ...value, tsType: 'bigint' } : value
)
mkdirSync(new URL('generated', import.meta.url), { recursive: true })
writeFileSync(new URL('generated/verdict.ts', import.meta.url), await compile(schema, 'Verdict'))
