-- Write outcomes into the cache unless a newer one is there; the cache never goes back.
--
-- KEYS[i]: verdict:{chat_id}
-- ARGV[1]: longest value that can be one of ours, bytes
-- ARGV[2i]: ttl, seconds; 0 evicts instead
-- ARGV[2i + 1]: the verdict or the marker of a rejected record, JSON
-- Returns for each key: 1 written; else the stored value, which is newer, and its topic, partition, offset and timestamp.
--
-- Older means: a lower offset where both come from the same topic and partition, else an earlier record timestamp; on the
-- same record a lower override_revision, so that a person's decision stays; then an older version of the same model, then
-- of the same policy. Versions of two models or of two policies do not compare: whoever judges a record again under
-- another name wins. Nor does a marker: on the same record the later one stays, so that a rejected record that is judged
-- after all gets its verdict back. The marker of an outcome that is owed is older than any other value on its record.

-- The worker's encoder writes `source` in just this form, and inside of a JSON string its quotes would be escaped. Decoding
-- the whole verdict instead takes several times as long, and Redis serves nobody else meanwhile.
local SOURCE_BEGIN = '"source":{"topic":"'
local SOURCE = '^"source":{"topic":"([^"\\]*)","partition":(%d+),"offset":(%d+),"timestamp_ms":(-?%d+)}'

local function source_of(text)
  local at = string.find(text, SOURCE_BEGIN, 1, true)
  if at then
    local topic, partition, offset, timestamp_ms = string.match(text, SOURCE, at)
    if topic then
      return topic, tonumber(partition), tonumber(offset), tonumber(timestamp_ms)
    end
  end
  local source = cjson.decode(text).source
  return source.topic, source.partition, source.offset, source.timestamp_ms
end

local function older_version(a, b)
  local next_a, next_b = string.gmatch(a, '%d+'), string.gmatch(b, '%d+')
  while true do
    local part_a, part_b = next_a(), next_b()
    if part_a == nil and part_b == nil then return nil end
    local number_a, number_b = tonumber(part_a or 0), tonumber(part_b or 0)
    if number_a ~= number_b then return number_a < number_b end
  end
end

local function is_older_on_same_record(new, old)
  if new.rejected == 'owed' then return true end
  if new.rejected or old.rejected then return false end
  -- Verdicts of version 1 have none.
  local new_revision, old_revision = tonumber(new.override_revision) or 0, tonumber(old.override_revision) or 0
  if new_revision ~= old_revision then return new_revision < old_revision end
  if new.model.name ~= old.model.name then return false end
  local older = older_version(new.model.version, old.model.version)
  if older ~= nil then return older end
  if new.policy.name ~= old.policy.name then return false end
  return older_version(new.policy.version, old.policy.version) == true
end

local function is_older(new, old)
  local old_topic, old_partition, old_offset, old_timestamp_ms = source_of(old)
  local new_topic, new_partition, new_offset, new_timestamp_ms = source_of(new)
  if new_topic ~= old_topic or new_partition ~= old_partition then return new_timestamp_ms < old_timestamp_ms end
  if new_offset ~= old_offset then return new_offset < old_offset end
  return is_older_on_same_record(cjson.decode(new), cjson.decode(old))
end

local function as_text(value)
  return type(value) == 'number' and string.format('%.0f', value) or tostring(value)
end

local max_bytes = tonumber(ARGV[1])
local written = {}
for i, key in ipairs(KEYS) do
  local ttl_s, new = ARGV[2 * i], ARGV[2 * i + 1]
  -- A key of another type answers with an error table.
  local stored = redis.pcall('GET', key)
  local dropped = false
  if type(stored) == 'string' and #stored <= max_bytes then
    -- A value that is neither verdict nor marker protects nothing and is overwritten.
    local understood, answer = pcall(is_older, new, stored)
    dropped = understood and answer
  end
  if dropped then
    local topic, partition, offset, timestamp_ms = source_of(stored)
    written[i] = {stored, as_text(topic), as_text(partition), as_text(offset), as_text(timestamp_ms)}
  else
    if ttl_s == '0' then
      redis.call('DEL', key)
    else
      redis.call('SET', key, new, 'EX', ttl_s)
    end
    written[i] = 1
  end
end
return written
