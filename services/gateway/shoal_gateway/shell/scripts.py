"""What Redis does by itself, all or nothing: scripts in Lua."""

APPLY = """
-- KEYS: the applied sequence, the deleted experiments. ARGV: the expected sequence, the new one,
-- the commands as JSON. Each command begins with the experiment that it is of, if it is of one.
-- Returns the applied sequence, which is the new one only if the expected one was found; -1 while
-- it is not known which experiments were deleted.
if not redis.call('ZSCORE', KEYS[2], '') then return -1 end
local at = tonumber(redis.call('GET', KEYS[1]) or '0')
if at ~= tonumber(ARGV[1]) then return at end

local gone = {}
local function is_gone(name)
  if name == '' then return false end
  if gone[name] == nil then gone[name] = not not redis.call('ZSCORE', KEYS[2], name) end
  return gone[name]
end

local function forget(names, name)
  for _, key in ipairs(names) do
    local found = string.gsub(key, '%*', name)
    redis.call('UNLINK', found)
  end
end

-- Forget all that belongs to an experiment, and to those within it.
local function delete(kind, name, trials)
  redis.call('ZADD', KEYS[2], 'NX', redis.call('ZCARD', KEYS[2]), name)
  gone[name] = true
  if kind.within then
    local within = string.gsub(kind.within, '%*', name)
    for _, other in ipairs(redis.call('ZRANGE', within, 0, -1)) do
      delete(kind.tracked, other, {})
    end
  end
  local members = string.gsub(kind.members, '%*', name)
  for _, member in ipairs(redis.call('ZRANGE', members, 0, -1)) do forget(kind.each, member) end
  for _, member in ipairs(trials) do forget(kind.each, member) end
  forget(kind.own, name)
  for _, row in ipairs(kind.fields) do redis.call('HDEL', row, name) end
  redis.call('ZREM', kind.listed, name)
end

local function best(_, row, field, value, order, whole)
  local old = redis.call('HGET', row, field)
  if old then
    local new, kept, better = tonumber(value), tonumber(cjson.decode(old)['metric']), false
    if order == 'min' then better = new < kept else better = new > kept end
    if not better then return end
  end
  redis.call('HSET', row, field, whole)
end

local function counted(_, row, counts, field, text)
  local old = redis.call('HGET', row, field)
  if old == text then return end
  redis.call('HSET', row, field, text)
  redis.call('HINCRBY', counts, text, 1)
  if old then redis.call('HINCRBY', counts, old, -1) end
end

for _, command in ipairs(cjson.decode(ARGV[3])) do
  local owner = table.remove(command, 1)
  if command[1] == 'DELETE' then
    delete(command[2], command[3], command[4])
  elseif is_gone(owner) then
    -- It comes too late.
  elseif command[1] == 'BEST' then
    best(unpack(command))
  elseif command[1] == 'COUNTED' then
    counted(unpack(command))
  else
    redis.call(unpack(command))
  end
end
redis.call('SET', KEYS[1], ARGV[2])
return tonumber(ARGV[2])
"""
CLEAR = """
-- ARGV: a pattern. Forgets the keys that match.
local cursor = '0'
repeat
  local page = redis.call('SCAN', cursor, 'MATCH', ARGV[1], 'COUNT', 1000)
  cursor = page[1]
  for _, key in ipairs(page[2]) do redis.call('UNLINK', key) end
until cursor == '0'
"""
MARK = """
-- KEYS: the deleted experiments. ARGV: those that were deleted so far.
redis.call('ZADD', KEYS[1], 'NX', 0, '')
for _, name in ipairs(ARGV) do
  redis.call('ZADD', KEYS[1], 'NX', redis.call('ZCARD', KEYS[1]), name)
end
"""
READ = """
-- KEYS: hashes. ARGV: fields; none: all, each before its value. Returns what each has. One command
-- costs who asks much less than one for each hash.
local found = {}
for place, key in ipairs(KEYS) do
  if #ARGV == 0 then found[place] = redis.call('HGETALL', key)
  else found[place] = redis.call('HMGET', key, unpack(ARGV)) end
end
return found
"""
