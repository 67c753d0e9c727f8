// Makes generated/verdict.ts from the JSON Schema.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { compile } from 'json-schema-to-typescript'

const path = new URL('../../../schemas/json/verdict.v2.schema.json', import.meta.url)
mkdirSync(new URL('generated', import.meta.url), { recursive: true })
writeFileSync(new URL('generated/verdict.ts', import.meta.url), await compile(JSON.parse(readFileSync(path, 'utf8')), 'Verdict'))
