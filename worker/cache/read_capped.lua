-- Read values, none longer than the limit: a longer one would be copied to the worker and decoded there.
--
-- KEYS[i]: verdict:{chat_id}
-- ARGV[1]: longest value that is returned, bytes
-- Returns for each key: the value; its length where that is above the limit; nothing where the key is missing; an error
-- where it is of another type.

-- GET alone, though STRLEN would not copy: a user that may read verdicts needs no other right for this.
local get = redis.pcall
local max_bytes = tonumber(ARGV[1])
local found = {}
for i = 1, #KEYS do
  local stored = get('GET', KEYS[i])
  if stored and #stored > max_bytes then stored = #stored end
  found[i] = stored
end
return found
