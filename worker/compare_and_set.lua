-- Write verdicts into the cache unless a newer one is there; the cache never goes back.
--
-- KEYS[i]: verdict:{chat_id}
-- ARGV[1]: ttl, seconds
-- ARGV[9*(i-1)+2 .. +10]: value ("" evicts), topic, partition, offset, timestamp_ms, model name and version,
--   policy name and version
-- Returns for each key: 1 written, 0 dropped because the cached verdict is newer.
--
-- Older means: a lower offset where both come from the same topic and partition, else an earlier record timestamp; on the
-- same record an older version of the same model, then of the same policy. Versions of two models or of two policies
-- do not compare: whoever judges a record again under another name wins.

local function older_version(a, b)
  local next_a, next_b = string.gmatch(a, '%d+'), string.gmatch(b, '%d+')
  while true do
    local part_a, part_b = next_a(), next_b()
    if part_a == nil and part_b == nil then return nil end
    local number_a, number_b = tonumber(part_a or 0), tonumber(part_b or 0)
    if number_a ~= number_b then return number_a < number_b end
  end
end

local function is_older(new, old)
  if new.topic ~= old.source.topic or new.partition ~= old.source.partition then
    return new.timestamp_ms < old.source.timestamp_ms
  end
  if new.offset ~= old.source.offset then return new.offset < old.source.offset end
  if new.model_name ~= old.model.name then return false end
  local older = older_version(new.model_version, old.model.version)
  if older ~= nil then return older end
  if new.policy_name ~= old.policy.name then return false end
  return older_version(new.policy_version, old.policy.version) == true
end

local written = {}
for i, key in ipairs(KEYS) do
  local at = 9 * (i - 1) + 1
  local new = {
    topic = ARGV[at + 2], partition = tonumber(ARGV[at + 3]), offset = tonumber(ARGV[at + 4]),
    timestamp_ms = tonumber(ARGV[at + 5]), model_name = ARGV[at + 6], model_version = ARGV[at + 7],
    policy_name = ARGV[at + 8], policy_version = ARGV[at + 9],
  }
  -- A key of another type answers with an error table.
  local stored = redis.pcall('GET', key)
  local dropped = false
  if stored then
    -- A value that is not a verdict protects nothing and is overwritten.
    local understood, answer = pcall(function() return is_older(new, cjson.decode(stored)) end)
    dropped = understood and answer
  end
  if not dropped then
    if ARGV[at + 1] == '' then
      redis.call('DEL', key)
    else
      redis.call('SET', key, ARGV[at + 1], 'EX', ARGV[1])
    end
  end
  written[i] = dropped and 0 or 1
end
return written
