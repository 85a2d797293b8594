-- Puts a pair of tokens into the place of the one that its refresher began with, or leaves the
-- place alone: a refresher that was paused beyond its lock must not take away a newer pair.
--
-- KEYS: 1 the sealed pair (string)
-- ARGV: 1 what is expected there ('': nothing), 2 what to put there
-- Returns 1 if it is there now, 0 if something else is.
--
-- A script that a client sends again, since it lost the reply, finds its own pair and returns 1.

local found = redis.call('GET', KEYS[1]) or ''
if found ~= ARGV[1] and found ~= ARGV[2] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
