-- One commit: state, events and meta change together, or nothing does (contract, 5.1).
--
-- KEYS: 1 categories (hash), 2 meta (hash), 3 events (stream), 4 hold (string)
-- ARGV: 1 expected epoch, 2 expected sequence, 3 expected digest (all '': no meta yet)
--       4 max_age in ms, 5 max_events: the limits of the stream
--       6..9 the numbers of arguments that follow: events, rows (id, row, …), removed ids,
--            meta (field, value, …); then these arguments, in this order
-- Returns {'committed', offset}; {'lost', epoch, sequence, digest} if another publisher has
-- committed meanwhile; or {'wrongtype', key, type, wanted type}.
--
-- meta's offset is the last id that XADD returned, or else the stream's last id. A client that lost
-- the reply sends its commit again; the script finds that commit in meta and does not repeat it.

local categories, meta, events, hold = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local next_argument = 10
local function take(count)
  local first = next_argument
  next_argument = next_argument + count
  return first, next_argument - 1
end

local event_first, event_last = take(tonumber(ARGV[6]))
local row_first, row_last = take(tonumber(ARGV[7]))
local removed_first, removed_last = take(tonumber(ARGV[8]))
local meta_first, meta_last = take(tonumber(ARGV[9]))

local wanted_types = {
  {categories, 'hash'}, {meta, 'hash'}, {events, 'stream'}, {hold, 'string'},
}
for _, wanted in ipairs(wanted_types) do
  local found = redis.call('TYPE', wanted[1])['ok']
  if found ~= 'none' and found ~= wanted[2] then
    return {'wrongtype', wanted[1], found, wanted[2]}
  end
end

local fields = {'epoch', 'sequence', 'digest', 'committed_at', 'offset'}
local found = {}
for i, value in ipairs(redis.call('HMGET', meta, unpack(fields))) do
  found[fields[i]] = value or ''
end
local new = {}
for i = meta_first, meta_last, 2 do new[ARGV[i]] = ARGV[i + 1] end

if found.epoch == new.epoch and found.sequence == new.sequence and found.digest == new.digest
    and found.committed_at == new.committed_at then
  return {'committed', found.offset}
end
if not (found.epoch == ARGV[1] and found.sequence == ARGV[2] and found.digest == ARGV[3]) then
  return {'lost', found.epoch, found.sequence, found.digest}
end

-- A command that this user may not send must fail here, before the first write.
if redis.acl_check_cmd then
  local any = events -- completes a command; no right depends on it
  local commands = {
    {'XADD', events, any, any, any}, {'XTRIM', events, any, any, any},
    {'HSET', categories, any, any}, {'HDEL', categories, any},
    {'DEL', meta}, {'HSET', meta, any, any}, {'DEL', hold},
  }
  for _, command in ipairs(commands) do
    if not redis.acl_check_cmd(unpack(command)) then
      return redis.error_reply('NOPERM this user may not run ' .. command[1] .. ' on ' .. command[2])
    end
  end
end

local function last_id()
  if redis.call('EXISTS', events) == 0 then return '0-0' end
  local about = redis.call('XINFO', 'STREAM', events)
  for i, name in ipairs(about) do
    if name == 'last-generated-id' then return about[i + 1] end
  end
end

local function in_chunks(first, last, command)
  for i = first, last, 4000 do -- Lua's unpack takes fewer than 8,000
    redis.call(command, categories, unpack(ARGV, i, math.min(i + 3999, last)))
  end
end

-- Every read comes before the first write, since the server may refuse it.
local time = redis.call('TIME')
local oldest = math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[4])
local offset = ARGV[6] == '0' and last_id()

for i = event_first, event_last do
  offset = redis.call('XADD', events, '*', 'event', ARGV[i])
end
in_chunks(row_first, row_last, 'HSET')
in_chunks(removed_first, removed_last, 'HDEL')
redis.call('DEL', meta)
redis.call('HSET', meta, 'offset', offset, unpack(ARGV, meta_first, meta_last))

redis.call('XTRIM', events, 'MINID', '=', string.format('%.0f', oldest))
redis.call('XTRIM', events, 'MAXLEN', '=', ARGV[5])
redis.call('DEL', hold)
return {'committed', offset}
