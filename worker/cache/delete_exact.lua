-- Delete values that are still the very bytes that were found to be forged; a value written since then stays.
--
-- KEYS[i]: verdict:{chat_id}
-- ARGV[i]: the forged value
-- Returns for each key: 1 deleted, 0 another value by now, or none.
local deleted = {}
for i, key in ipairs(KEYS) do
  local is_same = redis.pcall('GET', key) == ARGV[i]
  if is_same then redis.call('DEL', key) end
  deleted[i] = is_same and 1 or 0
end
return deleted
