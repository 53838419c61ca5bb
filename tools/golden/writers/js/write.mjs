// Files of hyparquet-writer and of Arrow for JavaScript: node write.mjs ROWS.json FOLDER.
import { readFileSync, writeFileSync } from 'node:fs'
import { parquetWriteBuffer } from 'hyparquet-writer'
import * as arrow from 'apache-arrow'

const rows = JSON.parse(readFileSync(process.argv[2], 'utf8'))
const folder = process.argv[3]
const { responses, scores, scored, battles, chats, pairs } = rows
const utf8 = text => new TextEncoder().encode(text)
const failures = []

function save(name, bytes) {
  try {
    writeFileSync(`${folder}/${name}`, new Uint8Array(bytes()))
  } catch (error) {
    failures.push(`${name}: ${error.message.split('\n')[0]}`)
  }
}

// `changes` is {column: [function of the value, type, further settings]}.
function parquet(rows, changes = {}, options = {}) {
  const columnData = Object.keys(rows[0]).map(name => {
    const [change = value => value, type, more = {}] = changes[name] ?? []
    return { name, data: rows.map(row => change(row[name])), ...(type && { type }), ...more }
  })
  return parquetWriteBuffer({ columnData, ...options })
}

save('text.parquet', () => parquet(responses))
save('text_string.parquet', () => parquet(responses, Object.fromEntries(Object.keys(responses[0]).map(n => [n, [undefined, 'STRING']]))))
save('text_bytes.parquet', () => parquet(responses, Object.fromEntries(Object.keys(responses[0]).map(n => [n, [utf8, 'BYTE_ARRAY']]))))
save('prompt_messages.parquet', () => parquet(responses, { prompt: [text => [{ role: 'user', content: text }]] }))
save('prompt_json_text.parquet', () => parquet(responses, { prompt: [undefined, 'JSON'] }))
save('response_json_text.parquet', () => parquet(responses, { response: [undefined, 'JSON'] }))
save('messages.parquet', () => parquet(chats))
save('messages_variant.parquet', () => parquet(chats, { messages: [undefined, 'VARIANT'] }))
save('pairs.parquet', () => parquet(pairs))
save('tool_chats.parquet', () => parquet(rows.tool_chats))
save('part_chats.parquet', () => parquet(rows.part_chats))
save('id_number.parquet', () => parquet(responses, { prompt_id: [id => Number(id.slice(1))] }))
save('id_bigint.parquet', () => parquet(responses, { prompt_id: [id => BigInt(id.slice(1))] }))
save('id_gaps.parquet', () => parquet(responses, { prompt_id: [id => id === 'p2' ? null : Number(id.slice(1))] }))
save('id_uuid.parquet', () => parquet(responses, {
  prompt_id: [id => `00000000-0000-0000-0000-00000000000${id.slice(1)}`, 'UUID'] }))
save('response_date.parquet', () => parquet(responses, { response: [() => new Date('2026-11-30T13:05:00Z')] }))
save('response_variant.parquet', () => parquet(responses, { response: [undefined, 'VARIANT'] }))
save('response_object.parquet', () => parquet(responses, { response: [text => ({ text })] }))
save('scores.parquet', () => parquet(scores))
save('scores_half.parquet', () => parquet(scores, { score: [undefined, 'FLOAT16'] }))
save('scores_float.parquet', () => parquet(scores, { score: [undefined, 'FLOAT'] }))
save('scores_split.parquet', () => parquet(scores, { score: [undefined, 'FLOAT', { encoding: 'BYTE_STREAM_SPLIT' }] }))
save('scores_whole.parquet', () => parquet(rows.whole_scores))
save('scores_text.parquet', () => parquet(scores, { score: [String] }))
save('scores_plain.parquet', () => parquet(scores, {}, { codec: 'UNCOMPRESSED', statistics: false }))
save('score_decimal.parquet', () => parquetWriteBuffer({
  columnData: Object.keys(scores[0]).map(name => ({ name, data: scores.map(row => row[name]) })),
  schema: [{ name: 'root', num_children: 4 },
    { name: 'prompt_id', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
    { name: 'policy', type: 'BYTE_ARRAY', converted_type: 'UTF8', repetition_type: 'REQUIRED' },
    { name: 'sample', type: 'INT32', repetition_type: 'REQUIRED' },
    { name: 'score', type: 'INT32', converted_type: 'DECIMAL', scale: 2, precision: 9, repetition_type: 'REQUIRED' }] }))
save('scored.parquet', () => parquet(scored))
save('battles.parquet', () => parquet(battles))
save('battles_enum.parquet', () => parquetWriteBuffer({
  columnData: Object.keys(battles[0]).map(name => ({ name, data: battles.map(row => row[name]) })),
  schema: [{ name: 'root', num_children: 3 }, ...Object.keys(battles[0]).map(name => (
    { name, type: 'BYTE_ARRAY', converted_type: 'ENUM', repetition_type: 'REQUIRED' }))] }))
save('odd_columns.parquet', () => parquetWriteBuffer({ columnData: [
  ...Object.keys(responses[0]).map(name => ({ name, data: responses.map(row => row[name]) })),
  { name: 'place', data: responses.map(() => ({ type: 'Point', coordinates: [1, 2] })), type: 'GEOMETRY' },
  { name: 'any', data: responses.map(() => ({ a: 1 })), type: 'VARIANT' },
  { name: 'id', data: responses.map(() => '00000000-0000-0000-0000-000000000001'), type: 'UUID' }] }))

const columnsOf = rows => Object.fromEntries(Object.keys(rows[0]).map(name => [name, rows.map(row => row[name])]))
const fromArrays = rows => new arrow.Table(Object.fromEntries(
  Object.entries(columnsOf(rows)).map(([name, values]) => [name, arrow.vectorFromArray(values)])))
save('text.arrow', () => arrow.tableToIPC(fromArrays(responses), 'file'))
save('text.arrows', () => arrow.tableToIPC(fromArrays(responses), 'stream'))
save('scores.arrow', () => arrow.tableToIPC(fromArrays(scores), 'file'))
save('scored.arrow', () => arrow.tableToIPC(fromArrays(scored), 'file'))
save('battles.arrow', () => arrow.tableToIPC(fromArrays(battles), 'file'))
save('from_json.arrow', () => arrow.tableToIPC(arrow.tableFromJSON(responses), 'file'))
save('messages.arrow', () => arrow.tableToIPC(fromArrays(chats), 'file'))
save('id_bigint.arrow', () => arrow.tableToIPC(fromArrays(
  responses.map(row => ({ ...row, prompt_id: BigInt(row.prompt_id.slice(1)) }))), 'file'))
save('id_number.arrow', () => arrow.tableToIPC(fromArrays(
  responses.map(row => ({ ...row, prompt_id: Number(row.prompt_id.slice(1)) }))), 'file'))
save('response_date.arrow', () => arrow.tableToIPC(fromArrays(
  responses.map(row => ({ ...row, response: new Date('2026-11-30T13:05:00Z') }))), 'file'))
console.log(JSON.stringify(failures))
