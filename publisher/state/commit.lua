-- One commit: state, events and meta change together, or nothing does (contract, 5.1).
--
-- KEYS: 1 categories (hash), 2 meta (hash), 3 events (stream), 4 hold (string)
-- ARGV: 1 expected epoch, 2 expected sequence, 3 expected digest (all '': no meta yet)
--       4 max_age in ms, 5 max_events: what the stream may keep
--       6..9 how many follow of: events, row words (id, row, …), removed ids, meta words (field,
--            value, …); then those, in this order
-- Returns {'committed', offset}, {'lost', epoch, sequence, digest} where somebody else has
-- committed meanwhile, or {'wrongtype', key, type, wanted type}.
--
-- The last id that XADD gave, or else the stream's last id, is meta's offset. A commit that a
-- client sends again, since it lost the reply, finds itself in meta and is not done twice.

local CHUNK = 4000 -- words a call; Lua's unpack takes fewer than 8,000

local categories, meta, events, hold = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local next_word = 10
local function take(count)
  local first = next_word
  next_word = next_word + count
  return first, next_word - 1
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
  local commands = {
    {'XADD', events, '*', 'event', ''}, {'XTRIM', events, 'MAXLEN', '=', '1'},
    {'HSET', categories, '', ''}, {'HDEL', categories, ''},
    {'DEL', meta}, {'HSET', meta, '', ''}, {'DEL', hold},
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
  for i = 1, #about, 2 do
    if about[i] == 'last-generated-id' then return about[i + 1] end
  end
end

local function in_chunks(first, last, command)
  for i = first, last, CHUNK do
    redis.call(command, categories, unpack(ARGV, i, math.min(i + CHUNK - 1, last)))
  end
end

-- All that is asked for below stands here, before the first write, since a question can be refused.
local time = redis.call('TIME')
local oldest = math.max(0, time[1] * 1000 + math.floor(time[2] / 1000) - ARGV[4])
local offset = event_first > event_last and last_id()

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
